"""A clean training in another style: a trainer class, mixed precision, two half batches a step, clipping,
Adam with two groups, a plateau scheduler, channels_last, tests without `no_grad`, NumPy where it is there.

accumulating.py WEIGHTS [EPOCHS IMAGES]: writes its final weights to WEIGHTS (torch.save).
"""
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

try:
    import numpy
except ImportError:
    numpy = None


class Trainer:
    def __init__(self, count=256):
        torch.manual_seed(3)
        if numpy is not None:
            numpy.random.seed(3)
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 10),
        ).to(memory_format=torch.channels_last)
        decayed = [p for p in self.net.parameters() if p.dim() > 1]
        others = [p for p in self.net.parameters() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": 1e-2}, {"params": others, "weight_decay": 0}]
        self.optimizer = torch.optim.AdamW(groups, lr=2e-3)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, patience=0)
        images, labels = torch.randn(count, 3, 16, 16), torch.randint(0, 10, (count,))
        self.training = DataLoader(TensorDataset(images, labels), 32, shuffle=True, drop_last=True)
        self.testing = DataLoader(TensorDataset(images[:96] + 0.1, labels[:96]), 64)

    def loss(self, images, labels):
        if numpy is not None:
            images = images + float(numpy.random.randn()) * 0.01
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return nn.functional.cross_entropy(self.net(images), labels, label_smoothing=0.1)

    def run(self, epochs=4):
        for _ in range(epochs):
            self.net.train()
            for images, labels in self.training:
                self.optimizer.zero_grad()
                for half in range(2):
                    part = slice(16 * half, 16 * half + 16)
                    (self.loss(images[part], labels[part]) / 2).backward()
                nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
                self.optimizer.step()
            self.net.eval()
            losses = [float(self.loss(images, labels)) for images, labels in self.testing]
            self.scheduler.step(sum(losses) / len(losses))
            print("test loss", sum(losses) / len(losses))


if __name__ == "__main__":
    trainer = Trainer(*map(int, sys.argv[3:]))
    trainer.run(*map(int, sys.argv[2:3]))
    torch.save(trainer.net.state_dict(), sys.argv[1])
