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
    kept_masks: bool = False  # ReLU lets pass what it does in single precision


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

    def __init__(self, model, storage, masks=None):
        self.model, self.storage = model, storage
        self.known, self.masks = masks, []

    def relu(self, x):
        mask = x > 0
        if self.storage.kept_masks:
            mask = self.known[len(self.masks)]
        self.masks.append(mask)
        return torch.where(mask, x, 0)

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
            x = self.gradient(F.max_pool2d(self.gradient(x), 3, 2, 1))
        for stage in range(1, 5):
            for block in getattr(model, f"layer{stage}", ()):
                x = self.block(block, x)
        x = self.gradient(self.value(self.gradient(x).mean((2, 3))))
        return getattr(model, getattr(model, "head", "linear"))(x)


def gradients(model, logits, labels):
    """By name, of the mean loss."""
    names, parameters = zip(*model.named_parameters())
    found = torch.autograd.grad(SCALE * F.cross_entropy(logits.float(), labels), parameters)
    return {name: (g / SCALE).double() for name, g in zip(names, found)}


def off(a, b, names=None):
    names = names or b.keys()
    difference = sum(((a[n] - b[n]) ** 2).sum() for n in names)
    return float((difference / sum((b[n] ** 2).sum() for n in names)).sqrt())


def autocast(model, x, labels, dtype):
    with torch.autocast("cpu", dtype):
        logits = model(x)
    return gradients(model, logits, labels)


def deviations(model, x, labels):
    """By what is rounded."""
    reference = Simulation(model, Storage())
    single = gradients(model, reference(x), labels)

    def simulated(**stored):
        storage = Storage(**stored)
        return gradients(model, Simulation(model, storage, reference.masks)(x), labels)

    everything = dict(z=True, y=True, g=True)
    results = {
        "PyTorch's own single precision": gradients(model, model(x), labels),
        "as webgpu stores": simulated(**everything),
        "z alone": simulated(z=True),
        "y alone": simulated(y=True),
        "gradients alone": simulated(g=True),
        "all but z": simulated(y=True, g=True),
        "all, ReLU's masks of single": simulated(**everything, kept_masks=True),
        "autocast float16": autocast(model, x, labels, torch.float16),
        "autocast bfloat16": autocast(model, x, labels, torch.bfloat16),
    }
    return single, results


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
    parser.add_argument("--layers", action="store_true", help="each array's figure as well")
    arguments = parser.parse_args()
    for batch in map(int, arguments.batch.split(",")):
        torch.manual_seed(1)
        model = network(arguments.architecture)
        prepare(model, arguments.weights)
        x = torch.randint(0, 256, (batch, 3, arguments.size, arguments.size)) / 64 - 2
        single, results = deviations(model, x, torch.randint(0, 10, (batch,)))
        print(f"{arguments.architecture}, {arguments.size}x{arguments.size}, batch {batch}")
        for name, found in results.items():
            print(f"  {name:32} {off(found, single):.1e}")
        if arguments.layers:
            for name in single:
                figures = [off(results[r], single, [name]) for r in ("as webgpu stores", "autocast float16")]
                print(f"    {name:32} {figures[0]:.1e} {figures[1]:.1e}  norm {single[name].norm():.1e}")


if __name__ == "__main__":
    main()
