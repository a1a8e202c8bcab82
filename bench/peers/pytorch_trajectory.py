"""Trains a CIFAR net of the paper for some steps in PyTorch, for comparison step by step.

Images are taken in their order without augmentation; everything else is the
paper's recipe: per-pixel mean of all given images subtracted from pixels in
0..1, momentum 0.9, weight decay 1e-4 on every parameter. Computes in single
precision on the CPU.

trajectory  30 steps at a rate of 0.001, where rounding does not yet grow;
            writes the losses as JSON.
lockstep    the same at a rate of 0.1, where training is chaotic: also writes
            before each step the state that it starts from, and its gradients,
            so that another implementation can take each step from PyTorch's
            state: FOLDER/0001.safetensors, ... with weights by name, momentum
            as momentum.NAME and gradients as gradient.NAME, and FOLDER/losses.json.

    python3 bench/peers/pytorch_trajectory.py trajectory --architecture resnet8 \\
        --weights start.safetensors --data cifar-10-batches-bin --out losses.json
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from resnet import ResNet, load_state

RECORD = 1 + 3 * 32 * 32


def read_images(path):
    """Pixels [N, 3, 32, 32] and labels [N] of CIFAR-10's five training files, or of one file."""
    files = [path] if path.is_file() else [path / f"data_batch_{i}.bin" for i in range(1, 6)]
    raw = np.concatenate([np.fromfile(file, np.uint8) for file in files])
    if raw.size == 0 or raw.size % RECORD:
        raise SystemExit(f"{path}: records have {RECORD} bytes, found {raw.size} bytes in all")
    records = raw.reshape(-1, RECORD)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def batches(pixels, labels, batch):
    """Batches in order, which run on into the next epoch."""
    mean = (pixels.sum(0, dtype=np.int64) / (255 * len(pixels))).astype(np.float32)
    start = 0
    while True:
        indices = np.arange(start, start + batch) % len(pixels)
        x = (pixels[indices] / 255 - mean).astype(np.float32)
        yield torch.from_numpy(x), torch.from_numpy(labels[indices])
        start += batch


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=["trajectory", "lockstep"])
    parser.add_argument("--architecture", required=True, help="resnet8, resnet14, resnet20, ...")
    parser.add_argument("--weights", required=True, type=Path, help="safetensors to start from")
    parser.add_argument("--data", required=True, type=Path,
                        help="folder of CIFAR-10's binary files, or one file of such records")
    parser.add_argument("--out", required=True, type=Path,
                        help="file for the losses; for lockstep a folder")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, help="default 0.001; for lockstep 0.1")
    parser.add_argument("--shortcut", choices=["A", "B"], default="A")
    parser.add_argument("--shortcut-padding", choices=["append", "split"], default="append")
    parser.add_argument("--channels-last", action="store_true",
                        help="another memory layout: how far PyTorch is from itself")
    arguments = parser.parse_args()
    lockstep = arguments.mode == "lockstep"
    rate = arguments.learning_rate or (0.1 if lockstep else 0.001)

    depth = int(arguments.architecture.removeprefix("resnet"))
    model = ResNet(depth, arguments.shortcut, arguments.shortcut_padding)
    load_state(model, load_file(arguments.weights))
    if arguments.channels_last:
        model = model.to(memory_format=torch.channels_last)
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), rate, momentum=0.9, weight_decay=1e-4)
    if lockstep:
        arguments.out.mkdir(parents=True, exist_ok=True)

    losses = []
    source = batches(*read_images(arguments.data), arguments.batch)
    for step in range(1, arguments.steps + 1):
        images, labels = next(source)
        state = {k: v.clone() for k, v in model.state_dict().items() if "num_batches" not in k}
        optimiser.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        losses.append(loss.item())
        if lockstep:
            for name, parameter in model.named_parameters():
                momentum = optimiser.state[parameter].get("momentum_buffer")
                if momentum is None:
                    momentum = torch.zeros_like(parameter)
                state[f"momentum.{name}"] = momentum.clone()
                state[f"gradient.{name}"] = parameter.grad.clone()
            contiguous = {name: array.contiguous() for name, array in state.items()}
            save_file(contiguous, arguments.out / f"{step:04d}.safetensors")
        optimiser.step()

    result = {
        "pytorch": torch.__version__,
        "architecture": arguments.architecture,
        "learningRate": rate,
        "batch": arguments.batch,
        "losses": losses,
    }
    out = arguments.out / "losses.json" if lockstep else arguments.out
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
