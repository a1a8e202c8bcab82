"""ResNet-8 for CIFAR-10: 6n+2 layers with n = 1."""

import torch.nn.functional as F
from torch import nn

BatchNorm = nn.BatchNorm2d


def conv3x3(channels, width, stride=1):
    return nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = conv3x3(channels, width, stride)
        self.bn1 = BatchNorm(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = BatchNorm(width)
        self.stride = stride
        self.pad = (width - channels) // 2

    def shortcut(self, x):
        """Option A: every second pixel, zeros for the new channels."""
        if self.stride == 1:
            return x
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out = out + self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self, n=1, classes=10):
        super().__init__()
        self.conv1 = conv3x3(3, 16)
        self.bn1 = BatchNorm(16)
        self.layer1 = self.stage(16, 16, n, 1)
        self.layer2 = self.stage(16, 32, n, 2)
        self.layer3 = self.stage(32, 64, n, 2)
        self.linear = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)

    def stage(self, channels, width, n, stride):
        blocks = [BasicBlock(channels, width, stride)]
        blocks += [BasicBlock(width, width, 1) for _ in range(n - 1)]
        return nn.Sequential(*blocks)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        out = F.avg_pool2d(out, out.size(3)).flatten(1)
        return self.linear(out)
