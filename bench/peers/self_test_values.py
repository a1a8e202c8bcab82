"""Makes engine/_self_test_values.ts: what engine/self_test.ts expects, computed by PyTorch.

    python3 bench/peers/self_test_values.py > engine/_self_test_values.ts
    deno fmt engine/_self_test_values.ts

Everything is computed in double precision on inputs that both sides draw from
Philox4x32-10. The seed is the one of 0 to 99 that keeps the smallest
|pre-activation| of the differentiated pass the largest, so that no rounding
decides on which side of a ReLU a value lies.
"""

import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F

from resnet import ResNet, load_state

HEIGHT = WIDTH = 8
BATCH, TRAIN, TEST, CLASSES, PADDING = 4, 8, 6, 10, 1
RATE, MOMENTUM, DECAY = 0.1, 0.9, 0.01
STREAM_PROBE = 6
INPUT, PIXELS, MEAN, PATTERN, FIRST_MOMENTUM = 1000, 1001, 1002, 1003, 2000


def words(seed, substream, count):
    """Philox4x32-10 (Salmon et al., 2011): counter [block, 0, substream, 0], key [seed, 6]."""
    blocks = (count + 3) // 4
    mask = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    c = [np.zeros(blocks, np.uint64) for _ in range(4)]
    c[0] += np.arange(blocks, dtype=np.uint64)
    c[2] += np.uint64(substream)
    k0, k1 = seed, STREAM_PROBE
    for _ in range(10):
        p0, p1 = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(p1 >> shift) ^ c[1] ^ np.uint64(k0), p1 & mask,
             (p0 >> shift) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(c, 1).reshape(-1)[:count]


def draws(seed, substream, count):
    """Uniform in [-1, 1)."""
    return words(seed, substream, count) / 2.0**31 - 1


class Case:
    """The network, its state and its inputs; the mirror image of the case in self_test.ts."""

    def __init__(self, seed):
        self.seed = seed
        self.model = ResNet(8)
        state = self.model.state_dict()
        names = [name for name in state if not name.endswith("num_batches_tracked")]
        self.trainable = [name for name, _ in self.model.named_parameters()]
        tensors = {}
        for index, name in enumerate(names):
            shape = list(state[name].shape)
            fan = math.prod(shape[1:])
            if len(shape) > 1:
                offset, factor = 0, math.sqrt(6 / fan)
            elif name == "linear.bias":
                offset, factor = 0, 0.5
            elif name.endswith(("weight", "running_var")):
                offset, factor = 1, 0.5
            else:
                offset, factor = 0, 0.5
            tensors[name] = self.array(index, shape, offset, factor)
        load_state(self.model, tensors)
        self.model.double()
        self.momentum = {
            name: self.array(FIRST_MOMENTUM + i, list(self.model.get_parameter(name).shape), 0, 0.1)
            for i, name in enumerate(self.trainable)
        }
        self.input = self.array(INPUT, [BATCH, HEIGHT, WIDTH, 3], 0, 2).permute(0, 3, 1, 2)
        count = TRAIN + TEST
        pixels = words(seed, PIXELS, count * HEIGHT * WIDTH * 3) >> np.uint64(24)
        self.pixels = torch.tensor(pixels.astype(np.float64)).reshape(count, HEIGHT, WIDTH, 3)
        self.mean = self.array(MEAN, [HEIGHT, WIDTH, 3], 0.5, 0.25)

    def array(self, substream, shape, offset, factor):
        values = offset + factor * draws(self.seed, substream, math.prod(shape))
        return torch.tensor(values.astype(np.float32).astype(np.float64)).reshape(shape)

    def normalised(self, images):
        """[N, 3, H, W], zero mean."""
        return ((images / 255 - self.mean) / torch.tensor([1.0, 0.5, 0.25])).permute(0, 3, 1, 2)

    def batch(self, first):
        """Crops and mirrors of four training images, padded after normalisation."""
        out = []
        for n in range(BATCH):
            image = F.pad(self.normalised(self.pixels[first + n : first + n + 1]), [PADDING] * 4)
            y, x = n % 3, (n + first) % 3
            crop = image[:, :, y : y + HEIGHT, x : x + WIDTH]
            out.append(crop.flip(3) if n % 2 else crop)
        return torch.cat(out)

    def fingerprint(self, tensor):
        """Euclidean norm, and the projection on a fixed pattern; of the array as it is stored."""
        flat = tensor.detach().reshape(-1).numpy()
        pattern = draws(self.seed, PATTERN, flat.size)
        return [float(f"{v:.8g}") for v in (np.linalg.norm(flat), flat @ pattern)]


def labels_of(first, count):
    return torch.tensor([(3 * (first + n)) % CLASSES for n in range(count)])


def margin(case):
    """Smallest |pre-activation| of the differentiated pass."""
    smallest = math.inf
    relu = F.relu

    def watched(x):
        nonlocal smallest
        smallest = min(smallest, x.abs().min().item())
        return relu(x)

    F.relu = watched
    try:
        case.model.train()
        with torch.no_grad():
            case.model(case.input)
    finally:
        F.relu = relu
    return smallest


def values(case):
    model, fingerprint = case.model, case.fingerprint
    model.eval()
    inference = fingerprint(model(case.input))

    model.train()
    statistics = {k: v.clone() for k, v in model.state_dict().items()}
    case.input.requires_grad_()
    logits = model(case.input)
    loss = F.cross_entropy(logits, labels_of(0, BATCH))
    loss.backward()
    training = {
        "loss": float(f"{loss.item():.8g}"),
        "output": fingerprint(logits),
        "inputGradient": fingerprint(case.input.grad.permute(0, 2, 3, 1)),
        "gradients": {n: fingerprint(p.grad) for n, p in model.named_parameters()},
    }

    model.load_state_dict(statistics)
    optimiser = torch.optim.SGD(model.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    for name, parameter in model.named_parameters():
        optimiser.state[parameter]["momentum_buffer"] = case.momentum[name].clone()
    losses = []
    for first in (0, BATCH):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(case.batch(first)), labels_of(first, BATCH))
        loss.backward()
        optimiser.step()
        losses.append(float(f"{loss.item():.8g}"))
    weights = {
        n: fingerprint(v) for n, v in model.state_dict().items() if "num_batches" not in n
    }
    momentum = {
        n: fingerprint(optimiser.state[p]["momentum_buffer"]) for n, p in model.named_parameters()
    }

    model.eval()
    logits = model(case.normalised(case.pixels[TRAIN:]))
    evaluation = {
        "loss": float(f"{F.cross_entropy(logits, labels_of(TRAIN, TEST)).item():.8g}"),
        "logits": fingerprint(logits),
        "predictions": logits.argmax(1).tolist(),
    }
    return {
        "inference": inference,
        "training": training,
        "steps": {"losses": losses, "weights": weights, "momentum": momentum},
        "evaluation": evaluation,
    }


def main():
    margins = {seed: margin(Case(seed)) for seed in range(100)}
    seed = max(margins, key=margins.get)
    print(f"seed {seed}: smallest |pre-activation| {margins[seed]:.2e}", file=sys.stderr)
    made_by = "bench/peers/self_test_values.py"
    version = torch.__version__.split("+")[0]
    literal = json.dumps({"seed": seed, **values(Case(seed))}, indent=1)
    print(f"""/**
 * What `self_test.ts` expects: of each array its Euclidean norm and its
 * projection on a fixed pattern.
 *
 * Made by `{made_by}`: PyTorch {version} in double
 * precision on a CPU. The smallest |pre-activation| of the differentiated pass
 * is {margins[seed]:.1e}.
 */
export const SELF_TEST_VALUES: SelfTestValues = {literal};

/** [Euclidean norm, projection on the pattern]. */
export type Fingerprint = readonly [number, number];

/** See `self_test.ts` for the case that these belong to. */
export interface SelfTestValues {{
  readonly seed: number;
  readonly inference: Fingerprint;
  readonly training: {{
    readonly loss: number;
    readonly output: Fingerprint;
    readonly inputGradient: Fingerprint;
    readonly gradients: Readonly<Record<string, Fingerprint>>;
  }};
  readonly steps: {{
    readonly losses: readonly number[];
    readonly weights: Readonly<Record<string, Fingerprint>>;
    readonly momentum: Readonly<Record<string, Fingerprint>>;
  }};
  readonly evaluation: {{
    readonly loss: number;
    readonly logits: Fingerprint;
    readonly predictions: readonly number[];
  }};
}}""")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
