"""CIFAR-10 from its binary files, given image by image as torchvision gives its own.

With torchvision: PIL images and its transforms. Where only torch is: tensors, and the transforms
of `plain_transforms`, which have the same names.
"""

import functools
import os

import torch
from torch.utils.data import Dataset

try:
    from PIL import Image
    from torchvision import transforms
except ImportError:
    import plain_transforms as transforms

    Image = None


@functools.lru_cache(maxsize=None)
def read(folder, train):
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
    content = bytearray()
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            content += file.read()
    rows = torch.frombuffer(content, dtype=torch.uint8).view(-1, 3073)
    pixels = rows[:, 1:].reshape(-1, 3, 32, 32)  # [N, C, H, W]
    return pixels.permute(0, 2, 3, 1).contiguous(), rows[:, 0].tolist()


class CIFAR10(Dataset):
    def __init__(self, folder, train=True, transform=None):
        self.data, self.targets = read(folder, train)  # [N, H, W, C]
        self.transform = transform

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        image = self.data[index]
        image = Image.fromarray(image.numpy()) if Image else image.permute(2, 0, 1)
        if self.transform is not None:
            image = self.transform(image)
        return image, self.targets[index]


__all__ = ["CIFAR10", "transforms"]
