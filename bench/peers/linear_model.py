"""The test error of a linear softmax model on the pixels of shapes10.

    deno run --allow-write=FOLDER bench/peers/export_shapes10.ts FOLDER
    python3 bench/peers/linear_model.py FOLDER

Needs PyTorch. Pixels are centred on the training mean and scaled to 0..1. The
L2 penalty is chosen on the last 2,000 training images with a model fitted to
the first 8,000; the model reported is fitted to all 10,000 with that penalty,
to convergence by L-BFGS. The test set is used once, for the error printed last.
"""

import sys

import torch
from torch.nn.functional import cross_entropy

PENALTIES = [10.0**e for e in (-4, -3, -2, -1, 0)]


def read(path):
    with open(path, "rb") as file:
        records = torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).view(-1, 3073)
    return records[:, 1:].float() / 255, records[:, 0].long()


def fit(x, y, penalty):
    """Minimises mean cross entropy + penalty / 2 * |weights|^2."""
    mean = x.mean(0)
    weights = torch.zeros(x.shape[1], 10, requires_grad=True)
    bias = torch.zeros(10, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, bias], max_iter=1000, tolerance_change=1e-9, line_search_fn="strong_wolfe"
    )
    centred = x - mean

    def loss():
        optimiser.zero_grad()
        value = cross_entropy(centred @ weights + bias, y) + penalty / 2 * weights.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        return lambda images: (images - mean) @ weights + bias


def error(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(1) != y).float().mean().item()


def main():
    folder = sys.argv[1]
    x, y = read(f"{folder}/train.bin")
    tried = {p: error(fit(x[:8000], y[:8000], p), x[8000:], y[8000:]) for p in PENALTIES}
    for penalty, validation in tried.items():
        print(f"penalty {penalty:g}: validation error {validation:.4f}")
    best = min(tried, key=tried.get)
    model = fit(x, y, best)
    print(f"penalty {best:g}: training error {error(model, x, y):.4f}")
    print(f"penalty {best:g}: test error {error(model, *read(f'{folder}/test.bin')):.4f}")


main()
