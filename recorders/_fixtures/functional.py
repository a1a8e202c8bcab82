"""A clean training without modules, loaders and optimisers: functions over a dictionary of tensors.

functional.py WEIGHTS: writes its final weights to WEIGHTS (torch.save).
"""
import sys

import torch
import torch.nn.functional as F


def network(x, weights, statistics, training):
    x = F.conv2d(x, weights["conv1"], padding=1)
    x = F.batch_norm(x, *statistics, weights["scale"], weights["shift"], training=training)
    x = F.conv2d(F.relu(x), weights["conv2"], stride=2, padding=1)
    x = F.dropout(F.relu(x), 0.1, training)
    return F.linear(x.mean((2, 3)), weights["linear"], weights["bias"])


def main(path):
    torch.manual_seed(5)
    images, labels = torch.randn(256, 3, 16, 16), torch.randint(0, 10, (256,))
    weights = {
        "conv1": torch.randn(8, 3, 3, 3) * 0.2,
        "scale": torch.ones(8),
        "shift": torch.zeros(8),
        "conv2": torch.randn(16, 8, 3, 3) * 0.1,
        "linear": torch.randn(10, 16) * 0.2,
        "bias": torch.zeros(10),
    }
    statistics = torch.zeros(8), torch.ones(8)
    for tensor in weights.values():
        tensor.requires_grad_(True)
    velocity = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
    for epoch in range(3):
        for batch in torch.randperm(256).split(32):
            x = images[batch]
            x = x.flip(3) if torch.rand(()) < 0.5 else x
            loss = F.cross_entropy(network(x, weights, statistics, True), labels[batch])
            gradients = torch.autograd.grad(loss, list(weights.values()))
            with torch.no_grad():
                for name, gradient in zip(weights, gradients):
                    velocity[name] = 0.9 * velocity[name] + gradient + 1e-4 * weights[name]
                    weights[name] -= 0.05 * velocity[name]
        with torch.no_grad():
            scores = network(images, weights, statistics, False)
        print(f"epoch {epoch}: error {float((scores.argmax(1) != labels).float().mean()):.4f}")
    torch.save({name: tensor.detach() for name, tensor in weights.items()}, path)


if __name__ == "__main__":
    main(sys.argv[1])
