"""What recording costs a training: a whole epoch of ResNet-20, with the recorder and without it.

    python3 bench/silent_bugs/cost.py --data cifar-10-batches-bin --pairs 2

Each pair is two processes that train one epoch of the paper's recipe (352 batches of 128) with one
thread at the same time on the same processor core, one of them recorded. The system shares the core
out between them, so that whatever else runs on the machine slows both alike: processor time of one
after the other differs by more than what is measured. Counted is the epoch alone, from the first
batch to the last line of the recording.
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


def start(options, recorded, folder):
    """Begins a training in a process of its own, on the first core that this one may use."""
    script = [os.path.abspath(__file__), "--train", "--data", options.data, "--steps", str(options.steps)]
    recorder = [RECORDER, "--out", folder, "--"] if recorded else []
    return subprocess.Popen(
        [sys.executable, *recorder, *script], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def pair(options, folder):
    """Seconds of processor time alone and recorded, of two trainings at once."""
    both = [start(options, recorded, folder) for recorded in (False, True)]
    found = [json.loads(one.communicate()[0].strip().splitlines()[-1]) for one in both]
    if any(one.returncode for one in both):
        sys.exit("a training failed")
    if found[0]["loss"] != found[1]["loss"]:
        print("the losses differ")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=os.path.abspath, help="binary files")
    parser.add_argument("--steps", type=int, default=352, help="steps of each training")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        return train(options)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    else:
        print("processes can't be held on one core here: both of a pair may be on different ones")
    shares = []
    for _ in range(options.pairs):
        with tempfile.TemporaryDirectory() as folder:
            alone, recorded = pair(options, os.path.join(folder, "recording"))
        shares.append(recorded["processor"] / alone["processor"] - 1)
        print(f"processor: {alone['processor']:.1f} s alone, {recorded['processor']:.1f} s recorded: "
              f"{100 * shares[-1]:+.2f}%; wall of both together {recorded['wall']:.0f} s", flush=True)
    print(f"mean of {len(shares)} pairs: {100 * statistics.mean(shares):+.2f}%, "
          f"from {100 * min(shares):+.2f}% to {100 * max(shares):+.2f}%")


if __name__ == "__main__":
    main()
