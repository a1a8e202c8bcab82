"""A clean training in a plain loop: residual network, workers, dropout, milestones, a validation part.

plain.py WEIGHTS [EPOCHS [IMAGES]]: writes its final weights to WEIGHTS (torch.save).
"""
import random
import sys

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split


class Images(Dataset):
    """Random images whose class shows in their brightness; cropped and flipped where asked."""

    def __init__(self, count, seed, transform=None):
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.randint(0, 10, (count,), generator=generator)
        noise = torch.randn(count, 3, 32, 32, generator=generator)
        self.images = noise + self.labels[:, None, None, None] / 5
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = self.images[index]
        return self.transform(image) if self.transform else image, int(self.labels[index])


class CropAndFlip:
    def __call__(self, image):
        y, x = random.randint(0, 8), int(torch.randint(0, 9, ()))
        image = F.pad(image, (4, 4, 4, 4))[:, y : y + 32, x : x + 32]
        return image.flip(2) if random.random() < 0.5 else image

    def __repr__(self):
        return "CropAndFlip(padding=4)"


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return F.relu(y + x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layers = nn.Sequential(Block(8, 8, 1), Block(8, 16, 2))
        self.dropout = nn.Dropout(0.1)
        self.linear = nn.Linear(16, 10)

    def forward(self, x):
        x = self.layers(F.relu(self.bn1(self.conv1(x))))
        return self.linear(self.dropout(F.adaptive_avg_pool2d(x, 1).flatten(1)))


def accuracy(net, loader):
    net.eval()
    right = count = 0
    with torch.no_grad():
        for images, labels in loader:
            right += int((net(images).argmax(1) == labels).sum())
            count += len(labels)
    return right / count


def main(weights, epochs=3, count=320):
    random.seed(1)
    torch.manual_seed(1)
    whole = Images(count, 7, CropAndFlip())
    part, held = random_split(whole, [count - 64, 64])
    training = DataLoader(part, batch_size=32, shuffle=True, num_workers=2)
    validation = DataLoader(held, batch_size=32)
    testing = DataLoader(Images(100, 8), batch_size=50)
    net = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[2], gamma=0.1)
    best = 0
    for epoch in range(epochs):
        net.train()
        for images, labels in training:
            optimizer.zero_grad()
            loss = criterion(net(images), labels)
            loss.backward()
            optimizer.step()
        scheduler.step()
        now = accuracy(net, validation)
        print(f"epoch {epoch}: loss {loss.item():.4f}, validation accuracy {100 * now:.2f}%")
        if now >= best:
            best = now
            torch.save({"net": net.state_dict(), "accuracy": now, "epoch": epoch}, weights + ".best")
    print(f"test accuracy {100 * accuracy(net, testing):.2f}%")
    torch.save(net.state_dict(), weights)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
