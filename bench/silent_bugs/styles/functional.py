"""CIFAR-10 with a small ResNet: functions over NumPy arrays, augmentation by the batch."""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from resnet import ResNet


def load(folder, names):
    rows = [np.fromfile(Path(folder) / name, np.uint8).reshape(-1, 3073) for name in names]
    rows = np.concatenate(rows)
    pixels = rows[:, 1:].reshape(-1, 3, 32, 32)
    return pixels.astype(np.float32), rows[:, 0].astype(np.int64)


def shuffled(n, rng):
    return rng.permutation(n)


def batches(x, y, size, order=None):
    """Yields arrays of at most `size` images with their labels."""
    order = np.arange(len(x)) if order is None else order
    for start in range(0, len(order), size):
        chosen = order[start:start + size]
        yield x[chosen], y[chosen]


def augment(x, rng):
    """Pads each image by 4 zeros, crops 32x32 at random, flips half of them."""
    padded = np.pad(x, ((0, 0), (0, 0), (4, 4), (4, 4)))
    views = np.empty_like(x)
    offsets = rng.integers(0, 9, size=(len(x), 2))
    flips = rng.random(len(x)) < 0.5
    for i, (top, left) in enumerate(offsets):
        view = padded[i, :, top:top + 32, left:left + 32]
        views[i] = view[:, :, ::-1] if flips[i] else view
    return views


def train_step(model, optimizer, scheduler, x, y):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y))
    loss.backward()
    optimizer.step()
    scheduler.step()
    return loss.item()


def test(model, x, y, size=200):
    """The share of wrong predictions in per cent."""
    model.eval()
    wrong = 0
    with torch.inference_mode():
        for images, labels in batches(x, y, size):
            scores = model(torch.from_numpy(images))
            wrong += int((scores.argmax(1).numpy() != labels).sum())
    return 100 * wrong / len(x)


def rate_factor(iteration):
    return 0.1 ** ((iteration >= 32000) + (iteration >= 48000))


def main(args):
    rng = np.random.default_rng(args.seed)
    torch.manual_seed(args.seed)

    x, y = load(args.data, [f"data_batch_{i}.bin" for i in range(1, 6)])
    x_test, y_test = load(args.data, ["test_batch.bin"])
    split = rng.permutation(len(x))
    held_out = len(x) // 10
    x_val, y_val = x[split[:held_out]], y[split[:held_out]]
    x_train, y_train = x[split[held_out:]], y[split[held_out:]]
    mean = x_train.mean(axis=0)
    x_train = x_train - mean
    x_val = x_val - mean
    x_test = x_test - mean

    model = ResNet()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_factor)

    iteration = 0
    while iteration < args.iterations:
        order = shuffled(len(x_train), rng)
        model.train()
        for images, labels in batches(x_train, y_train, 128, order):
            images = augment(images, rng)
            loss = train_step(model, optimizer, scheduler, images, labels)
            iteration += 1
            if iteration % 10 == 0:
                print(f"{iteration} loss {loss:.4f}", flush=True)
            if iteration == args.iterations:
                break
        print(f"{iteration} validation error {test(model, x_val, y_val):.2f}%", flush=True)

    print(f"test error {test(model, x_test, y_test):.2f}%")
    torch.save(model.state_dict(), "weights.pt")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="cifar-10-batches-bin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=64000)
    main(parser.parse_args())
