"""ResNet-14 of the paper's kind: three stages of n = 2 residual blocks, shortcuts of option A."""

import functools

import torch
from torch import nn

conv = functools.partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)
norm = functools.partial(nn.BatchNorm2d)


class Residual(nn.Module):
    def __init__(self, before, width):
        super().__init__()
        self.grows = before != width
        self.branch = nn.Sequential(
            conv(before, width, stride=2 if self.grows else 1),
            norm(width),
            nn.ReLU(inplace=True),
            conv(width, width),
            norm(width),
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        shortcut = x
        if self.grows:
            shortcut = x[:, :, ::2, ::2]
            shortcut = torch.cat([shortcut, torch.zeros_like(shortcut)], dim=1)
        return self.relu(self.branch(x) + shortcut)


class ResNet(nn.Module):
    def __init__(self, n=2):
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, 16),
            norm(16),
            nn.ReLU(inplace=True),
        )
        widths = [16] * n + [32] * n + [64] * n
        self.blocks = nn.Sequential(*map(Residual, [16] + widths[:-1], widths))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(64, 10)
        self.apply(self.initialise)

    @staticmethod
    def initialise(module):
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.blocks(self.stem(x))
        x = torch.flatten(self.pool(x), 1)
        return self.linear(x)
