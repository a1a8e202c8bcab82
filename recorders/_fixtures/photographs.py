"""Trains on a folder of photographs as PyTorch's tutorial on transfer learning does, several times.

photographs.py FOLDER: makes photographs in FOLDER, and records into FOLDER/right and, with one
mistake each, into FOLDER/<mistake>. pytorch_recorder.py (a copy of the recorder) has to stand beside it.
"""
import os
import sys

import numpy as np
import pytorch_recorder
import torch
from PIL import Image
from torch import nn
from torch.optim import lr_scheduler
from torchvision import datasets, transforms
from torchvision.models.resnet import BasicBlock, ResNet

folder = sys.argv[1]
torch.set_num_threads(1)
random = np.random.default_rng(0)
for part, count in (("train", 24), ("val", 24)):
    for name in ("ants", "bees"):
        os.makedirs(f"{folder}/{part}/{name}")
        for i in range(count):
            pixels = random.integers(0, 256, (9, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((120, 90)).save(f"{folder}/{part}/{name}/{i}.png")

normalise = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
TRANSFORMS = {
    "train": transforms.Compose([
        transforms.RandomResizedCrop(64), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), normalise,
    ]),
    "val": transforms.Compose([
        transforms.Resize(73), transforms.CenterCrop(64), transforms.ToTensor(), normalise,
    ]),
}


def train(mistake=None):
    torch.manual_seed(0)
    sets = {
        part: datasets.ImageFolder(
            f"{folder}/{part}", TRANSFORMS["train" if mistake == "same-transform" else part],
        )
        for part in ("train", "val")
    }
    loaders = {
        part: torch.utils.data.DataLoader(sets[part], batch_size=16, shuffle=True)
        for part in sets
    }
    model = ResNet(BasicBlock, [1, 1, 1, 1])
    # Half of its stages, for speed.
    model.layer3 = model.layer4 = nn.Identity()
    if mistake in ("features", "still-features", "frozen-stem"):
        for parameter in (model.conv1 if mistake == "frozen-stem" else model).parameters():
            parameter.requires_grad = False
    model.fc = nn.Linear(128, 2)
    criterion = nn.CrossEntropyLoss(
        reduction="sum" if mistake == "summed" else "mean", label_smoothing=0.1,
    )
    held = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(held, lr=0.001, momentum=0.9)
    scheduler = lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.1)
    for epoch in range(2):
        for part in ("train", "val"):
            model.train(part == "train" and mistake != "still-features" or mistake == "no-eval")
            right = 0
            for images, labels in loaders[part]:
                optimizer.zero_grad()
                with torch.set_grad_enabled(part == "train"):
                    outputs = model(images)
                    if mistake == "softmax":
                        outputs = torch.softmax(outputs, 1)
                    loss = criterion(outputs, labels)
                    if part == "train":
                        loss.backward()
                        optimizer.step()
                        if mistake == "stepped-per-batch":
                            scheduler.step()
                right += (outputs.argmax(1) == labels).sum().item()
            if part == "train" and mistake not in ("never-stepped", "stepped-per-batch"):
                scheduler.step()
            print(f"{part} Acc: {right / len(sets[part]):.4f}")


for mistake in [None] + sys.argv[2:]:
    pytorch_recorder.start(f"{folder}/{mistake or 'right'}")
    train(mistake)
    pytorch_recorder.stop()
