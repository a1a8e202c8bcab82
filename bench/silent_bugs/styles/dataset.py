"""ResNet on CIFAR-10 with a data set class of its own, which reads records from the files."""

import argparse
import os
import random

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from resnet import ResNet

RECORD = 1 + 3 * 32 * 32


class Cifar10Records(Dataset):
    """Records of the binary files; a mode decides which of them and how they are prepared."""

    def __init__(self, root, mode, seed=0, mean=None):
        assert mode in ("train", "val", "test")
        if mode == "test":
            names = ["test_batch.bin"]
        else:
            names = [f"data_batch_{number}.bin" for number in range(1, 6)]
        self.buffer = b""
        for name in names:
            with open(os.path.join(root, name), "rb") as file:
                self.buffer += file.read()
        self.records = list(range(len(self.buffer) // RECORD))
        if mode != "test":
            random.Random(seed).shuffle(self.records)
            held_out = len(self.records) // 10
            self.records = self.records[held_out:] if mode == "train" else self.records[:held_out]
        self.mode = mode
        self.mean = self.average() if mean is None else mean

    def __len__(self):
        return len(self.records)

    def pixels(self, position):
        start = self.records[position] * RECORD
        record = torch.frombuffer(bytearray(self.buffer[start:start + RECORD]), dtype=torch.uint8)
        return record[1:].view(3, 32, 32).float(), int(record[0])

    def average(self):
        total = torch.zeros(3, 32, 32, dtype=torch.float64)
        for position in range(len(self)):
            total += self.pixels(position)[0]
        return (total / len(self)).float()

    def __getitem__(self, position):
        image, label = self.pixels(position)
        image = (image - self.mean) / 255
        if self.mode == "train":
            image = self.shift(image, random.randrange(-4, 5), random.randrange(-4, 5))
            if random.random() >= 0.5:
                image = torch.flip(image, dims=[2])
        return image, label

    @staticmethod
    def shift(image, down, right):
        """A crop of the image with a border of 4 zeros, as a shift."""
        shifted = torch.zeros_like(image)
        height, width = 32 - abs(down), 32 - abs(right)
        top, left = max(down, 0), max(right, 0)
        from_top, from_left = max(-down, 0), max(-right, 0)
        part = image[:, from_top:from_top + height, from_left:from_left + width]
        shifted[:, top:top + height, left:left + width] = part
        return shifted


def error_rate(net, loader):
    was_training = net.training
    net.eval()
    errors = 0
    with torch.no_grad():
        for images, labels in loader:
            errors += torch.count_nonzero(net(images).argmax(dim=1) != labels).item()
    net.train(was_training)
    return errors / len(loader.dataset)


def learning_rate(step):
    if step < 32000:
        return 0.1
    return 0.01 if step < 48000 else 0.001


def run(options):
    random.seed(options.seed)
    torch.manual_seed(options.seed)
    train = Cifar10Records(options.data, "train", options.seed)
    val = Cifar10Records(options.data, "val", options.seed, train.mean)
    test = Cifar10Records(options.data, "test", mean=train.mean)
    train_loader = DataLoader(train, batch_size=128, shuffle=True, drop_last=True)
    val_loader = DataLoader(val, batch_size=500)
    test_loader = DataLoader(test, batch_size=500)

    net = ResNet()
    loss_function = nn.CrossEntropyLoss()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    step = 0
    while True:
        for images, labels in train_loader:
            for group in sgd.param_groups:
                group["lr"] = learning_rate(step)
            loss = loss_function(net(images), labels)
            for parameter in net.parameters():
                parameter.grad = None
            loss.backward()
            sgd.step()
            step += 1
            if step % 10 == 0:
                print(f"{step:5d} loss {loss.item():.4f}", flush=True)
            if step == options.iterations:
                print(f"test error {100 * error_rate(net, test_loader):.2f}%")
                torch.save(net.state_dict(), "net.pt")
                return
        print(f"{step:5d} validation error {100 * error_rate(net, val_loader):.2f}%", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="cifar-10-batches-bin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=64000)
    run(parser.parse_args())
