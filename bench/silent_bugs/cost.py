"""What recording costs a training: a whole epoch of ResNet-20, with the recorder and without it.

    python3 bench/silent_bugs/cost.py --data cifar-10-batches-bin --blocks 4

Each block is a process of its own that trains one epoch of the paper's recipe (352 batches of 128);
blocks come in the order without, with, with, without, and over again, so that a machine that gets
slower or faster weighs on both alike. Counted is the epoch alone, from the first batch to the last
line of the recording: wall time, and processor time, which other programs on the machine change
less. Wanted: a machine that does nothing else.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RECORDER = os.path.join(HERE, "..", "..", "recorders", "pytorch.py")


def train(options):
    """Trains, and prints the seconds of the steps."""
    sys.path[:0] = [os.path.join(HERE, "nets"), os.path.join(HERE, "styles")]
    import torch
    from resnet8 import ResNet
    from torch import nn
    from torch.utils.data import DataLoader, Subset
    from vision import CIFAR10, transforms

    torch.manual_seed(0)
    transform = transforms.Compose([
        transforms.RandomCrop(32, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
    ])
    images = Subset(CIFAR10(options.data, train=True, transform=transform), range(45_000))
    loader = DataLoader(images, batch_size=128, shuffle=True)
    model, criterion = ResNet(n=3), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[32000, 48000])
    wall, processor, count = time.perf_counter(), time.process_time(), 0
    for inputs, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
        count += 1
        if count == options.steps:
            break
    recorder = sys.modules.get("pytorch_recorder")
    if recorder is not None:
        recorder.stop()  # what a recording writes at its end belongs to its cost
    found = {
        "wall": time.perf_counter() - wall, "processor": time.process_time() - processor,
        "steps": count, "loss": loss.item(),
    }
    print(json.dumps(found))


def block(options, recorded, folder):
    """Trains in a process of its own."""
    script = [os.path.abspath(__file__), "--train", "--data", options.data, "--steps", str(options.steps)]
    recorder = [RECORDER, "--out", folder, "--"] if recorded else []
    done = subprocess.run([sys.executable, *recorder, *script], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=os.path.abspath, help="binary files")
    parser.add_argument("--steps", type=int, default=352, help="steps of each block")
    parser.add_argument("--blocks", type=int, default=4, help="a multiple of 4")
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        return train(options)
    if options.blocks < 4 or options.blocks % 4:
        parser.error(f"--blocks must be a multiple of 4, found {options.blocks}")
    found = {False: [], True: []}
    for number in range(options.blocks):
        recorded = number % 4 in (1, 2)
        with tempfile.TemporaryDirectory() as folder:
            one = block(options, recorded, os.path.join(folder, "recording"))
        found[recorded].append(one)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
        print("recorded" if recorded else "alone   ", json.dumps({**one, "load": round(load, 1)}), flush=True)
    if len({one["loss"] for both in found.values() for one in both}) > 1:
        print("the losses differ: the threads of this machine add up in no fixed order")
    for kind in ("wall", "processor"):
        alone, recorded = ([one[kind] for one in found[which]] for which in (False, True))
        for name, middle in (("mean", statistics.mean), ("median", statistics.median)):
            share = middle(recorded) / middle(alone) - 1
            print(f"{kind}, {name}: {middle(alone):.1f} s alone, {middle(recorded):.1f} s recorded: {100 * share:+.2f}%")
        print(f"{kind}, from least to most: alone {min(alone):.1f} to {max(alone):.1f} s, "
              f"recorded {min(recorded):.1f} to {max(recorded):.1f} s")


if __name__ == "__main__":
    main()
