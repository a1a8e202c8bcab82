"""Writes engine/_optimiser_values.ts: what optimisers make of a fixed sequence of gradients.

    python3 bench/peers/optimiser_values.py > engine/_optimiser_values.ts && deno fmt engine

50 steps of eight weights in double precision, by torch.optim; the rate falls to a tenth after 25.
Caffe's momentum, which PyTorch has not, is written out from SGDSolver::ComputeUpdateValue and
NesterovSolver::ComputeUpdateValue.
"""
import json
import math

import torch

STEPS, FALL, COUNT = 50, 25, 8
torch.set_default_dtype(torch.float64)


def gradient(step):
    return torch.tensor([math.sin(step * (k + 1)) * (1 + k) / 4 for k in range(COUNT)])


def start():
    return torch.tensor([(-1) ** k * (1 + k) / 8 for k in range(COUNT)])


SLOTS = {
    "velocity": "momentum_buffer",
    "mean": "exp_avg",
    "square": "exp_avg_sq",
    "square_max": "max_exp_avg_sq",
}


def by_torch(make, rate):
    weights = start().requires_grad_()
    optimiser = make([weights], rate)
    for step in range(1, STEPS + 1):
        for group in optimiser.param_groups:
            group["lr"] = rate if step <= FALL else rate / 10
        weights.grad = gradient(step)
        optimiser.step()
    state = optimiser.state[weights]
    slots = {ours: state[theirs].tolist() for ours, theirs in SLOTS.items() if theirs in state}
    return weights.tolist(), slots


def by_caffe(momentum, decay, nesterov, rate):
    weights, history = start(), torch.zeros(COUNT)
    for step in range(1, STEPS + 1):
        now = rate if step <= FALL else rate / 10
        diff = gradient(step) + decay * weights
        old, history = history, now * diff + momentum * history
        update = (1 + momentum) * history - momentum * old if nesterov else history
        weights = weights - update
    return weights.tolist(), {"velocity": history.tolist()}


def sgd(momentum=0.9, nesterov=False, decay=0.0):
    settings = {"kind": "sgd", "momentum": momentum, "nesterov": nesterov, "weightDecay": decay}
    make = lambda p, lr: torch.optim.SGD(
        p, lr, momentum=momentum, nesterov=nesterov, weight_decay=decay
    )
    return {**settings, "decayed": "all"}, 0.1, lambda rate: by_torch(make, rate)


def caffe(nesterov, decay=0.01):
    settings = {"kind": "sgd", "momentum": 0.9, "nesterov": nesterov, "velocityOf": "steps"}
    settings = {**settings, "weightDecay": decay, "decayed": "all"}
    return settings, 0.1, lambda rate: by_caffe(0.9, decay, nesterov, rate)


def adam(kind, decay=0.0, amsgrad=False):
    library = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[kind]
    settings = {"kind": kind, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    settings = {**settings, "weightDecay": decay, "amsgrad": amsgrad}
    make = lambda p, lr: library(p, lr, weight_decay=decay, amsgrad=amsgrad)
    return settings, 0.01, lambda rate: by_torch(make, rate)


def nadam(decay=0.0, decoupled=False):
    settings = {"kind": "nadam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    settings = {**settings, "weightDecay": decay, "momentumDecay": 0.004, "decoupled": decoupled}
    make = lambda p, lr: torch.optim.NAdam(
        p, lr, weight_decay=decay, decoupled_weight_decay=decoupled
    )
    return settings, 0.01, lambda rate: by_torch(make, rate)


CASES = {
    "SGD with momentum": sgd(),
    "SGD with momentum and decay": sgd(decay=0.01),
    "SGD with Nesterov's momentum and decay": sgd(nesterov=True, decay=0.01),
    "SGD with Caffe's momentum": caffe(False),
    "SGD with Caffe's Nesterov momentum": caffe(True),
    "Adam": adam("adam"),
    "Adam with decay in the gradient": adam("adam", 0.1),
    "AMSGrad": adam("adam", 0.1, True),
    "AdamW": adam("adamw", 0.1),
    "AdamW with AMSGrad": adam("adamw", 0.1, True),
    "NAdam": nadam(),
    "NAdam with decay in the gradient": nadam(0.1),
    "NAdam with decoupled decay": nadam(0.1, True),
}

values = []
for name, (optimiser, rate, run) in CASES.items():
    weights, slots = run(rate)
    entry = {"name": name, "optimiser": optimiser, "rate": rate, "weights": weights}
    values.append({**entry, "slots": slots})

print(f"""/**
 * What optimisers make of a fixed sequence of gradients in {STEPS} steps, in double precision.
 *
 * Source: PyTorch {torch.__version__}, by bench/peers/optimiser_values.py, which writes this file.
 */
import type {{ Optimiser }} from "./optimiser.ts";

/** One optimiser's end. */
export interface OptimiserValues {{
  readonly name: string;
  readonly optimiser: Optimiser;
  /** Of the first {FALL} steps; a tenth of it afterwards. */
  readonly rate: number;
  readonly weights: readonly number[];
  readonly slots: Readonly<Record<string, readonly number[]>>;
}}

export const STEPS = {STEPS}, FALL = {FALL}, COUNT = {COUNT};

export const OPTIMISER_VALUES: readonly OptimiserValues[] = {json.dumps(values, indent=2)};""")
