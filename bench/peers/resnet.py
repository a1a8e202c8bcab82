"""The paper's nets in PyTorch, by the names that our weight files use: those for CIFAR of
section 4.2, and the ImageNet layout (table 1) of 18 and 34 layers with either stem."""

import re

import torch
import torch.nn.functional as F
from torch import nn


class ShortcutA(nn.Module):
    """Every second pixel, and zero channels: appended, or half on each side."""

    def __init__(self, channels_in, channels_out, stride, zero_channels):
        super().__init__()
        zeros = channels_out - channels_in
        before = zeros // 2 if zero_channels == "split" else 0
        self.stride = stride
        self.channels = (before, zeros - before)

    def forward(self, x):
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, *self.channels))


class Block(nn.Module):
    def __init__(self, channels_in, channels_out, stride, shortcut, zero_channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            if shortcut == "A":
                self.shortcut = ShortcutA(channels_in, channels_out, stride, zero_channels)
            else:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                    nn.BatchNorm2d(channels_out),
                )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """Depth 6n+2; input [N, 3, H, W]."""

    def __init__(self, depth, shortcut="A", zero_channels="append", classes=10):
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"a CIFAR net of the paper has depth 6n+2, found {depth}")
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        width = 16
        for stage, filters in enumerate((16, 32, 64), start=1):
            blocks = []
            for i in range((depth - 2) // 6):
                stride = 2 if stage > 1 and i == 0 else 1
                blocks.append(Block(width, filters, stride, shortcut, zero_channels))
                width = filters
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class ImageNetLayout(nn.Module):
    """Four stages of 64 to 512 filters, projections (option B); input [N, 3, H, W]."""

    def __init__(self, depth, cifar_stem, classes=10):
        super().__init__()
        blocks = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}[depth]
        self.stem_pools = not cifar_stem
        self.conv1 = nn.Conv2d(3, 64, *((3, 1, 1) if cifar_stem else (7, 2, 3)), bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        width = 64
        for stage, count in enumerate(blocks, start=1):
            filters = 32 * 2**stage
            stack = []
            for i in range(count):
                stride = 2 if stage > 1 and i == 0 else 1
                stack.append(Block(width, filters, stride, "B", "none"))
                width = filters
            setattr(self, f"layer{stage}", nn.Sequential(*stack))
        self.head = "linear" if cifar_stem else "fc"
        setattr(self, self.head, nn.Linear(512, classes))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        if self.stem_pools:
            x = F.max_pool2d(x, 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return getattr(self, self.head)(x.mean((2, 3)))


def network(name, classes=10):
    """A network by our name: resnet20, resnet18-cifar, resnet34, ..."""
    match = re.fullmatch(r"resnet(\d+)(-cifar)?", name)
    if match is None:
        raise ValueError(f"resnet<depth> or resnet<depth>-cifar, found {name!r}")
    depth = int(match[1])
    if depth in (18, 34):
        return ImageNetLayout(depth, cifar_stem=match[2] is not None, classes=classes)
    return ResNet(depth, "A", "append", classes)


def load_state(model, tensors):
    """Copies arrays by name; every array of the model must be there, and no other."""
    own = {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    if own.keys() != tensors.keys():
        raise ValueError(
            f"missing {sorted(own.keys() - tensors.keys())}, "
            f"unexpected {sorted(tensors.keys() - own.keys())}"
        )
    with torch.no_grad():
        for name, array in own.items():
            array.copy_(tensors[name])
