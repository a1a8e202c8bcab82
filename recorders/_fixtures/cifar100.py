"""Trains on CIFAR-100 as torchvision reads it, twice: with fine labels, then with coarse ones.

cifar100.py FOLDER: makes cifar-100-python of the binary files in FOLDER, and records into
FOLDER/fine and FOLDER/coarse. pytorch_recorder.py (a copy of the recorder) has to stand beside it.
"""
import pickle
import sys

import numpy as np
import pytorch_recorder
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import CIFAR100, cifar

folder = sys.argv[1]
cifar.check_integrity = lambda *_, **__: True  # made images have no official MD5


def write(name, content):
    with open(f"{folder}/cifar-100-python/{name}", "wb") as file:
        pickle.dump(content, file, 2)


for part in ("train", "test"):
    rows = np.fromfile(f"{folder}/{part}.bin", dtype=np.uint8).reshape(-1, 3074)
    write(part, {
        "data": rows[:, 2:].copy(),
        "coarse_labels": rows[:, 0].tolist(), "fine_labels": rows[:, 1].tolist(),
    })
write("meta", {
    "fine_label_names": [str(i) for i in range(100)],
    "coarse_label_names": [str(i) for i in range(20)],
})


class Coarse(CIFAR100):
    def __init__(self, root, train, transform):
        super().__init__(root, train, transform)
        with open(f"{root}/{self.base_folder}/{'train' if train else 'test'}", "rb") as file:
            self.targets = pickle.load(file)["coarse_labels"]


def train(kind, classes):
    torch.manual_seed(0)
    normalise = transforms.Normalize((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))
    augmented = transforms.Compose([
        transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), normalise,
    ])
    plain = transforms.Compose([transforms.ToTensor(), normalise])
    training = DataLoader(kind(folder, True, augmented), batch_size=128, shuffle=True)
    testing = DataLoader(kind(folder, False, plain), batch_size=100)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes),
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for images, labels in training:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        for images, labels in testing:
            nn.functional.cross_entropy(net(images), labels)


for name, kind, classes in (("fine", CIFAR100, 100), ("coarse", Coarse, 20)):
    pytorch_recorder.start(f"{folder}/{name}")
    train(kind, classes)
    pytorch_recorder.stop()
