"""Writes engine/_parts_values.ts: the self-test's two steps with batch norm over parts of a batch.

    python3 bench/peers/parts_values.py > engine/_parts_values.ts && deno fmt engine/_parts_values.ts

The layers are given the parts one after the other, as `torch.cat([bn(part) for part in parts])`
does: each part has statistics of its own, and the running ones follow each in turn. The loss is the
mean over the whole batch.
"""

import json

import torch
import torch.nn.functional as F
import torch.optim.swa_utils

from self_test_values import BATCH, DECAY, MOMENTUM, RATE, Case, labels_of

SEED = 88  # as self_test_values.py chose


def steps(size):
    case = Case(SEED)
    model = case.model.train()
    optimiser = torch.optim.SGD(model.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    for name, parameter in model.named_parameters():
        optimiser.state[parameter]["momentum_buffer"] = case.momentum[name].clone()
    losses = []
    for first in (0, BATCH):
        optimiser.zero_grad()
        images, labels = case.batch(first), labels_of(first, BATCH)
        total = 0
        for part, known in zip(images.split(size), labels.split(size)):
            loss = F.cross_entropy(model(part), known, reduction="sum") / BATCH
            loss.backward()
            total += loss.item()
        optimiser.step()
        losses.append(float(f"{total:.9g}"))
    weights = {n: v for n, v in model.state_dict().items() if "num_batches" not in n}
    return {
        "images": size,
        "losses": losses,
        "weights": {n: case.fingerprint(v) for n, v in weights.items()},
        "momentum": {
            n: case.fingerprint(optimiser.state[p]["momentum_buffer"])
            for n, p in model.named_parameters()
        },
    }


def averages():
    """What update_bn makes of the two batches, with the weights of the start."""
    case = Case(SEED)
    torch.optim.swa_utils.update_bn([case.batch(0), case.batch(BATCH)], case.model)
    return {
        n: case.fingerprint(v) for n, v in case.model.state_dict().items() if "running" in n
    }


print(f"""/**
 * Two steps with batch norm over parts of a batch: of each array its Euclidean norm and its
 * projection on a fixed pattern, as `_self_test_values.ts` has them of whole batches.
 *
 * Source: PyTorch {torch.__version__} in double precision, by bench/peers/parts_values.py, which
 * writes this file.
 */
import type {{ Fingerprint }} from "./_self_test_values.ts";

/** What steps over parts of so many images leave. */
export interface PartsValues {{
  readonly images: number;
  readonly losses: readonly number[];
  readonly weights: Readonly<Record<string, Fingerprint>>;
  readonly momentum: Readonly<Record<string, Fingerprint>>;
}}

export const PARTS_VALUES: readonly PartsValues[] = {json.dumps([steps(2), steps(3)])};

/** Statistics as strict averages over two batches, with the weights of the start. */
export const AVERAGES: Readonly<Record<string, Fingerprint>> = {json.dumps(averages())};""")
