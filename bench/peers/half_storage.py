"""How far half storage moves a network's gradients, in PyTorch: what `--precision mixed` of the
engine `webgpu` stores in half precision is rounded where its kernels round it, all arithmetic is
single precision. Beside it what PyTorch's own mixed precision (autocast) gives, and which part of
the difference comes from what.

Each figure is ||a - b|| / ||b|| over all weights' gradients, b in single precision.

    python3 bench/peers/half_storage.py --architecture resnet18 --size 32 --batch 8,32,128

Networks are those of resnet.py. `--weights`:

initial   PyTorch's, of a training's first step: scales 1, shifts 0
random    scales in [0.5, 1.5), shifts in [-0.5, 0.5)
apart     the same with shifts of 5 and -5 by turns, so that no value lies near ReLU's kink
"""

import argparse
import dataclasses

import torch
import torch.nn.functional as F
from torch import nn

from resnet import network

SCALE = 65536  # of the loss, as a training begins


@dataclasses.dataclass(frozen=True)
class Storage:
    """What is rounded to half precision where it is stored."""

    z: bool = False  # what convolutions write: batch norm's input
    y: bool = False  # what is stored of batch norm, addition and ReLU, and pooled
    g: bool = False  # gradients of both
    kept_choices: bool = False  # ReLU and maximum pooling choose as they do in single precision


def half(x):
    return x.half().float()


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, value, gradient):
        ctx.gradient = gradient
        return half(x) if value else x.clone()

    @staticmethod
    def backward(ctx, g):
        return half(g) if ctx.gradient else g, None, None


class Norm(torch.autograd.Function):
    """Batch norm: sums of what is not yet rounded, values made of what is stored."""

    @staticmethod
    def forward(ctx, z, gamma, beta, storage):
        column = (1, -1, 1, 1)
        variance, mean = torch.var_mean(z, (0, 2, 3), correction=0)
        r = torch.rsqrt(variance + 1e-5)
        stored = half(z) if storage.z else z
        normalised = (stored - mean.view(column)) * r.view(column)
        ctx.save_for_backward(normalised, gamma, r)
        ctx.storage = storage
        return normalised * gamma.view(column) + beta.view(column)

    @staticmethod
    def backward(ctx, g):
        normalised, gamma, r = ctx.saved_tensors
        column, axes = (1, -1, 1, 1), (0, 2, 3)
        dbeta, dgamma = g.sum(axes), (g * normalised).sum(axes)
        if ctx.storage.g:
            g = half(g)
        count = g.numel() / len(gamma)
        rest = (dbeta.view(column) + normalised * dgamma.view(column)) / count
        return (gamma * r).view(column) * (g - rest), dgamma, dbeta, None


class Simulation:
    """A network's pass with such a storage."""

    def __init__(self, model, storage, known_choices=None):
        self.model, self.storage = model, storage
        self.known_choices, self.choices = known_choices, []

    def chosen(self, choice):
        if self.storage.kept_choices:
            choice = self.known_choices[len(self.choices)]
        self.choices.append(choice)
        return choice

    def relu(self, x):
        return torch.where(self.chosen(x > 0), x, 0)

    def max_pool(self, x):
        at = self.chosen(F.max_pool2d(x, 3, 2, 1, return_indices=True)[1])
        return x.flatten(2).gather(2, at.flatten(2)).view(at.shape)

    def norm(self, layer, z):
        return Norm.apply(z, layer.weight, layer.bias, self.storage)

    def value(self, x):
        return Rounded.apply(x, self.storage.y, False)

    def gradient(self, x):
        return Rounded.apply(x, False, self.storage.g)

    def block(self, block, x):
        y = self.relu(self.norm(block.bn1, block.conv1(x)))
        shortcut = x
        if isinstance(block.shortcut, nn.Sequential) and len(block.shortcut):
            # Its gradient is written first, and conv1's added to what is stored.
            shortcut = self.value(self.norm(block.shortcut[1], block.shortcut[0](self.gradient(x))))
        elif not isinstance(block.shortcut, nn.Sequential):
            shortcut = block.shortcut(x)
        total = self.norm(block.bn2, block.conv2(y)) + self.gradient(shortcut)
        return self.value(self.relu(total))

    def __call__(self, x):
        model = self.model
        x = self.value(self.relu(self.norm(model.bn1, model.conv1(x))))
        if getattr(model, "stem_pools", False):
            x = self.gradient(self.max_pool(self.gradient(x)))
        for stage in range(1, 5):
            for block in getattr(model, f"layer{stage}", ()):
                x = self.block(block, x)
        x = self.gradient(self.value(self.gradient(x).mean((2, 3))))
        return getattr(model, getattr(model, "head", "linear"))(x)


def gradients(model, logits, labels, scale=SCALE):
    """By name, of the mean loss."""
    names, parameters = zip(*model.named_parameters())
    found = torch.autograd.grad(scale * F.cross_entropy(logits.float(), labels), parameters)
    return {name: (g / scale).double() for name, g in zip(names, found)}


def off(a, b, names=None):
    names = names or b.keys()
    difference = sum(((a[n] - b[n]) ** 2).sum() for n in names)
    return (difference / sum((b[n] ** 2).sum() for n in names)).sqrt().item()


def autocast(model, x, labels, dtype):
    """Of the largest scale that does not overflow, as a scaler that halves it would come to."""
    scale = SCALE
    while True:
        with torch.autocast("cpu", dtype):
            logits = model(x)
        found = gradients(model, logits, labels, scale)
        if all(g.isfinite().all() for g in found.values()):
            return found
        scale /= 2


def deviations(model, x, labels):
    """Gradients in single precision and by what is rounded, and the share of ReLU's choices that
    the rounding turns."""
    reference = Simulation(model, Storage())
    single = gradients(model, reference(x), labels)

    def simulated(**stored):
        simulation = Simulation(model, Storage(**stored), reference.choices)
        return gradients(model, simulation(x), labels), simulation

    stored, simulation = simulated(z=True, y=True, g=True)
    pairs = zip(simulation.choices, reference.choices)
    differ = [(a != b).flatten() for a, b in pairs if a.dtype == torch.bool]
    results = {
        "PyTorch's own single precision": gradients(model, model(x), labels),
        "as webgpu stores": stored,
        "z alone": simulated(z=True)[0],
        "y alone": simulated(y=True)[0],
        "gradients alone": simulated(g=True)[0],
        "all, with single's choices": simulated(z=True, y=True, g=True, kept_choices=True)[0],
        "autocast float16": autocast(model, x, labels, torch.float16),
        "autocast bfloat16": autocast(model, x, labels, torch.bfloat16),
    }
    return single, results, torch.cat(differ).float().mean().item()


def prepare(model, kind):
    if kind == "initial":
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        return
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.uniform_(-0.5, 0.5)
                if kind == "apart":
                    layer.bias.copy_(10.0 * (torch.arange(len(layer.bias)) % 2) - 5)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--weights", choices=("initial", "random", "apart"), default="initial")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", default="8", help="numbers of images, by commas")
    arguments = parser.parse_args()
    for batch in map(int, arguments.batch.split(",")):
        torch.manual_seed(1)
        model = network(arguments.architecture)
        prepare(model, arguments.weights)
        x = torch.randint(0, 256, (batch, 3, arguments.size, arguments.size)) / 64 - 2
        single, results, differ = deviations(model, x, torch.randint(0, 10, (batch,)))
        print(arguments.architecture, arguments.weights, f"{arguments.size} pixels, batch {batch}")
        for name, found in results.items():
            worst = max(off(found, single, [n]) for n in single if n.endswith("weight"))
            print(f"  {name:32} {off(found, single):.1e}, of the worst weight {worst:.1e}")
        print(f"  ReLU's choices that differ       {differ:.1e}", flush=True)


if __name__ == "__main__":
    main()
