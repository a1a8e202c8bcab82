"""A whole training of a CIFAR net in PyTorch on a CPU, as a good user would write it.

Does what `deno task train` does: reads CIFAR-10's binary files, splits off
5,000 validation images, subtracts the per-pixel mean of the others, trains by
the paper's recipe with its schedule in proportion, crops and mirrors each batch
at random, evaluates the validation images and at the end the test images, and
writes a log, the predictions and the weights. Batches are prepared by whole
tensor operations in this process: on images as small as these that is faster
than a DataLoader with its workers. Without --data, random images of the size of
the built-in set: for the memory that the network alone takes.

The log has the names of ours: FOLDER/events.jsonl, an object a line with `type`
and `time`. ResNet-110's warm-up is left out; it does not change the work. With
--recipe resnet18-cifar or resnet34-cifar it is that recipe as our trainer has it: batches of 256,
the last of an epoch what is left, the channels' mean and deviation after the crop, which pads
black pixels, and a rate of 0.1, whose plateau's patience no run of ten epochs outlasts. The last
line of standard output is a JSON object with the test error (null where the
run was stopped before its end) and the peak of the process's resident memory.

    python3 bench/peers/pytorch_program.py --architecture resnet20 --iterations 500 \\
        --data cifar-10-batches-bin --out run
"""

import argparse
import json
import resource
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from resnet import network

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
RECORD = 1 + 3 * 32 * 32
PADDING = 4
EVALUATION_BATCH = 500  # larger ones fall out of a processor's caches
CIFAR10 = {"train": 50_000, "training": 45_000, "test": 10_000}
BUILT_IN = {"train": 10_000, "training": 9_000, "test": 2_000}


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", help="resnet20, resnet32, ...; the recipe's by default")
    parser.add_argument("--recipe", choices=["paper", "resnet18-cifar", "resnet34-cifar"],
                        default="paper")
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10's binary files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the log; must be new")
    parser.add_argument("--iterations", type=int, default=64_000)
    parser.add_argument("--epochs", type=int, help="the length, in place of --iterations")
    parser.add_argument("--stop-after", type=int, help="stop after this step, without evaluation")
    parser.add_argument("--batch", type=int, help="images in a batch; the recipe's by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--layout", choices=list(LAYOUTS), default="channels_last")
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--eval-every", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.cifar_stem = arguments.recipe != "paper"
    if arguments.architecture is None:
        arguments.architecture = arguments.recipe if arguments.cifar_stem else "resnet20"
    if arguments.batch is None:
        arguments.batch = 256 if arguments.cifar_stem else 128
    if arguments.cifar_stem and (arguments.epochs is None or arguments.epochs > 10):
        parser.error("--recipe resnet18-cifar and resnet34-cifar need --epochs of 10 at most: "
                     "the plateau is not followed here")
    return arguments


class Log:
    """Appends events to FOLDER/events.jsonl."""

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.file = open(folder / "events.jsonl", "a", encoding="utf-8")

    def append(self, kind, **fields):
        time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self.file.write(json.dumps({"type": kind, "time": time.replace("+00:00", "Z"), **fields}))
        self.file.write("\n")
        self.file.flush()


def read_images(files):
    """Pixels [N, 32, 32, 3] and labels [N] of CIFAR-10's binary files."""
    count = sum(file.stat().st_size for file in files) // RECORD
    pixels = np.empty((count, 32, 32, 3), np.uint8)
    labels = np.empty(count, np.int64)
    first = 0
    for file in files:
        raw = np.fromfile(file, np.uint8)
        if raw.size == 0 or raw.size % RECORD:
            sys.exit(f"{file}: records have {RECORD} bytes, found {raw.size} bytes in all")
        records = raw.reshape(-1, RECORD)
        part = slice(first, first + len(records))
        pixels[part] = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels[part] = records[:, 0]
        first = part.stop
    return torch.from_numpy(pixels), torch.from_numpy(labels)


def load(folder):
    """(pixels, labels) of the training part and of the test part, and how many to train on."""
    if folder is not None:
        train = read_images([folder / f"data_batch_{i}.bin" for i in range(1, 6)])
        return train, read_images([folder / "test_batch.bin"]), CIFAR10["training"]

    def made(count):
        pixels = torch.randint(256, (count, 32, 32, 3), dtype=torch.uint8)
        return pixels, torch.randint(10, (count,))

    return made(BUILT_IN["train"]), made(BUILT_IN["test"]), BUILT_IN["training"]


class Program:
    def __init__(self, arguments):
        self.layout = LAYOUTS[arguments.layout]
        self.batch = arguments.batch
        (self.pixels, self.labels), self.test, training = load(arguments.data)
        order = torch.randperm(len(self.labels))
        self.training = order[:training].sort().values
        self.validation = order[training:].sort().values
        self.cifar_stem = arguments.cifar_stem
        if self.cifar_stem:
            values = self.pixels[self.training].numpy().reshape(-1, 3) / 255
            self.mean, self.std = (
                torch.from_numpy(value.astype(np.float32)) for value in (values.mean(0), values.std(0))
            )  # [3]
        else:
            # Sums of bytes are exact in 32 bits.
            sums = self.pixels[self.training].numpy().sum(0, dtype=np.uint32)
            self.mean = torch.from_numpy((sums / (255 * training)).astype(np.float32))  # [32, 32, 3]
            self.std = None
        if arguments.epochs is not None:
            batches = -(-training // self.batch) if self.cifar_stem else training / self.batch
            arguments.iterations = round(arguments.epochs * batches)
        self.indices = self.shuffled()

        model = network(arguments.architecture)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        torch.nn.init.zeros_(model.linear.bias)
        self.model = model.to(memory_format=self.layout)
        self.optimiser = torch.optim.SGD(
            self.model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4
        )
        milestones = [] if arguments.cifar_stem else [int(share * arguments.iterations + 0.5) for share in (0.5, 0.75)]
        self.schedule = torch.optim.lr_scheduler.MultiStepLR(self.optimiser, milestones)

    def shuffled(self):
        """Positions of training images, epoch after epoch, in batches that run on across epochs,
        or whose last is what an epoch leaves."""
        rest = torch.empty(0, dtype=torch.int64)
        while self.cifar_stem:
            yield from self.training[torch.randperm(len(self.training))].split(self.batch)
        while True:
            while len(rest) < self.batch:
                rest = torch.cat([rest, self.training[torch.randperm(len(self.training))]])
            yield rest[: self.batch]
            rest = rest[self.batch :]

    def normalised(self, pixels):
        """[N, H, W, 3], zero mean."""
        images = pixels.float().div_(255).sub_(self.mean)
        return images if self.std is None else images.div_(self.std)

    def network_input(self, images):
        """[N, 3, 32, 32]: a view where the layout is channels_last."""
        return images.permute(0, 3, 1, 2).contiguous(memory_format=self.layout)

    def augmented(self, index):
        """Padded by zeros, cropped at random, mirrored half of the time."""
        padding = (0, 0, PADDING, PADDING, PADDING, PADDING)
        if self.cifar_stem:
            padded = self.normalised(F.pad(self.pixels[index], padding))  # [N, 40, 40, 3]
        else:
            padded = F.pad(self.normalised(self.pixels[index]), padding)  # [N, 40, 40, 3]
        count = len(index)
        along = torch.arange(32)
        mirrored = torch.randint(2, (count, 1)).bool()
        rows = torch.randint(2 * PADDING + 1, (count, 1)) + along  # [N, 32]
        columns = torch.randint(2 * PADDING + 1, (count, 1)) + torch.where(
            mirrored, 31 - along, along
        )
        image = torch.arange(count)[:, None, None]
        return self.network_input(padded[image, rows[:, :, None], columns[:, None, :]])

    def step(self):
        """Sum of losses, wrong and all images of one step, not read yet."""
        index = next(self.indices)
        labels = self.labels[index]
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        logits = self.model(self.augmented(index))
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        count = torch.tensor(len(labels))
        return loss.detach() * count, (logits.detach().argmax(1) != labels).sum(), count

    @torch.inference_mode()
    def evaluate(self, pixels, labels):
        """Predictions, wrong ones, and mean loss."""
        self.model.eval()
        logits = torch.cat([
            self.model(self.network_input(self.normalised(part)))
            for part in pixels.split(EVALUATION_BATCH)
        ])
        predictions = logits.argmax(1)
        wrong = (predictions != labels).sum().item()
        return predictions, wrong, F.cross_entropy(logits, labels).item()


def main():
    arguments = parse()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    log = Log(arguments.out)
    program = Program(arguments)
    log.append(
        "start", run=arguments.out.name, architecture=arguments.architecture,
        batch=arguments.batch, iterations=arguments.iterations, layout=arguments.layout,
        threads=torch.get_num_threads(), versions={"torch": torch.__version__},
    )

    def evaluated(iteration, name, pixels, labels):
        predictions, wrong, loss = program.evaluate(pixels, labels)
        error = wrong / len(labels)
        log.append("evaluation", iteration=iteration, set=name, errors=wrong, error=error, loss=loss)
        return predictions, error

    window = []
    for iteration in range(1, arguments.iterations + 1):
        is_last = iteration == arguments.iterations
        rate = program.schedule.get_last_lr()[0]
        window.append(program.step())
        if is_last or iteration % arguments.log_every == 0:
            losses, wrong, images = (torch.stack(values).sum().item() for values in zip(*window))
            log.append("step", iteration=iteration, steps=len(window), learningRate=rate,
                       loss=losses / images, error=wrong / images)
            window.clear()
        if is_last or iteration % arguments.eval_every == 0:
            held_out = program.validation
            evaluated(iteration, "validation", program.pixels[held_out], program.labels[held_out])
        if iteration == arguments.stop_after:
            break

    error = None
    if is_last:
        predictions, error = evaluated(iteration, "test", *program.test)
        rows = np.stack([program.test[1].numpy(), predictions.numpy()], 1)
        np.savetxt(arguments.out / "predictions.csv", rows, "%d", ",", header="label,prediction",
                   comments="")
        torch.save(program.model.state_dict(), arguments.out / "weights.pth")
    log.append("end", iteration=iteration, testError=error)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"testError": error, "peakBytes": peak}))


if __name__ == "__main__":
    main()
