"""The transforms that the scripts take from torchvision, by plain tensors, where it is missing."""

import torch
import torch.nn.functional as F


class Compose:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, image):
        for transform in self.transforms:
            image = transform(image)
        return image


class Lambda:
    def __init__(self, lambd):
        self.lambd = lambd

    def __call__(self, image):
        return self.lambd(image)


class ToTensor:
    """Bytes [C, H, W] to 0..1."""

    def __call__(self, image):
        return image.float() / 255


class Normalize:
    def __init__(self, mean, std):
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def __call__(self, image):
        return (image - self.mean) / self.std


class RandomCrop:
    """One offset a call, for an image as for a batch."""

    def __init__(self, size, padding=0):
        self.size, self.padding = size, padding

    def __call__(self, image):
        image = F.pad(image, [self.padding] * 4)
        top, left = (int(torch.randint(0, side - self.size + 1, (1,))) for side in image.shape[-2:])
        return image[..., top : top + self.size, left : left + self.size]


class RandomHorizontalFlip:
    def __call__(self, image):
        return image.flip(-1) if torch.rand(1) < 0.5 else image


class RandomResizedCrop:
    """A square of a share of the area between `scale`'s bounds, resized; one a call."""

    def __init__(self, size, scale=(0.08, 1.0)):
        self.size, self.scale = size, scale

    def __call__(self, image):
        low, high = self.scale
        side = image.shape[-1] * (low + (high - low) * float(torch.rand(1))) ** 0.5
        part = RandomCrop(max(1, round(side)))(image)
        whole = part.dim() == 4
        resized = F.interpolate(
            (part if whole else part[None]).float(), size=self.size, mode="bilinear"
        ).to(image.dtype)
        return resized if whole else resized[0]
