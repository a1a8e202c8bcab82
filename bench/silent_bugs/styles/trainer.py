"""Trains a ResNet on CIFAR-10 as He et al. did: a class that holds the training."""

import argparse
import os
import random

import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset, Subset

from resnet import ResNet


def read_batches(folder, names):
    """Images as bytes [N, 3, 32, 32], labels [N]."""
    content = b""
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            content += file.read()
    rows = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(-1, 1 + 3 * 32 * 32)
    images = rows[:, 1:].reshape(-1, 3, 32, 32)
    labels = rows[:, 0].long()
    return images, labels


class CifarImages(Dataset):
    def __init__(self, images, labels, mean, augment=False):
        self.images = images
        self.labels = labels
        self.mean = mean
        self.augment = augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = self.images[index].float() / 255
        image = image - self.mean
        if self.augment:
            image = self.random_crop(image)
            if random.random() < 0.5:
                image = image.flip(2)
        return image, self.labels[index]

    def random_crop(self, image):
        padded = F.pad(image, (4, 4, 4, 4))
        top, left = random.randint(0, 8), random.randint(0, 8)
        return padded[:, top:top + 32, left:left + 32]


class Trainer:
    def __init__(self, args):
        self.args = args
        self.iteration = 0
        self.build_loaders()
        self.model = ResNet()
        self.loss_function = nn.CrossEntropyLoss()
        self.optimizer = optim.SGD(
            self.model.parameters(),
            lr=0.1,
            momentum=0.9,
            weight_decay=0.0001,
        )
        self.scheduler = optim.lr_scheduler.MultiStepLR(self.optimizer, [32000, 48000], gamma=0.1)

    def build_loaders(self):
        images, labels = read_batches(self.args.data, [f"data_batch_{i}.bin" for i in range(1, 6)])
        test_images, test_labels = read_batches(self.args.data, ["test_batch.bin"])
        order = torch.randperm(len(images)).tolist()
        held_out = len(images) // 10
        train_indices, val_indices = order[held_out:], order[:held_out]
        mean = images[train_indices].float().mean(dim=0) / 255
        augmented = CifarImages(images, labels, mean, augment=True)
        plain = CifarImages(images, labels, mean)
        train_set = Subset(augmented, train_indices)
        val_set = Subset(plain, val_indices)
        test_set = CifarImages(test_images, test_labels, mean)
        self.train_loader = DataLoader(train_set, 128, shuffle=True, num_workers=2)
        self.val_loader = DataLoader(val_set, 250, shuffle=False)
        self.test_loader = DataLoader(test_set, 250, shuffle=False)

    def step(self, images, labels):
        logits = self.model(images)
        loss = self.loss_function(logits, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        self.iteration += 1
        return loss.item()

    def train_epoch(self):
        self.model.train()
        for images, labels in self.train_loader:
            loss = self.step(images, labels)
            if self.iteration % 10 == 0:
                print(f"[{self.iteration}/{self.args.iterations}] loss {loss:.4f}", flush=True)
            if self.iteration >= self.args.iterations:
                break

    @torch.no_grad()
    def error(self, loader):
        self.model.eval()
        mistakes = 0
        for images, labels in loader:
            mistakes += (self.model(images).argmax(1) != labels).sum().item()
        return mistakes / len(loader.dataset)

    def fit(self):
        while self.iteration < self.args.iterations:
            self.train_epoch()
            print(f"validation error {self.error(self.val_loader):.4f}", flush=True)
        print(f"test error {self.error(self.test_loader):.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="cifar-10-batches-bin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=64000)
    args = parser.parse_args()
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    trainer = Trainer(args)
    trainer.fit()
    torch.save(trainer.model.state_dict(), "checkpoint.pt")
