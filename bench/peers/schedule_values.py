"""Writes recipes/_schedule_values.ts: the rates of PyTorch's schedulers in 100 epochs.

    python3 bench/peers/schedule_values.py > recipes/_schedule_values.ts

Each scheduler is stepped once an epoch; what a plateau watches is drawn here and stored beside.
"""
import json
import random

import torch
from torch.optim import lr_scheduler

EPOCHS, RATE, ITERATIONS = 100, 0.1, 1000


def rates(make, values=None):
    weight = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.SGD([weight], RATE)
    scheduler = make(optimiser)
    found = []
    for epoch in range(EPOCHS):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step() if values is None else scheduler.step(values[epoch])
    return found


def formula(name, schedule, make):
    schedule = {**schedule, "rate": RATE, "unit": "epoch", "iterations": ITERATIONS}
    return {"name": name, "schedule": schedule, "rates": rates(make)}


def plateau(name, watched, values, settings=None, **options):
    schedule = {"kind": "plateau", "watched": watched, "rate": RATE, "factor": 0.1, "patience": 10}
    schedule = {**schedule, "threshold": 1e-4, "minimumRate": 0, **(settings or {})}
    schedule["iterations"] = ITERATIONS
    if watched.endswith("accuracy"):
        options.setdefault("mode", "max")
    make = lambda o: lr_scheduler.ReduceLROnPlateau(o, **options)
    return {"name": name, "schedule": schedule, "rates": rates(make, values), "values": values}


random.seed(1)
# A loss that falls, stays, and rises again; an accuracy that does the opposite.
LOSS = [round(0.4 + 1.6 * 0.93**e + 0.004 * max(0, e - 60) + random.uniform(-0.03, 0.03), 6)
        for e in range(EPOCHS)]
ACCURACY = [round(1 - loss / 2.2, 6) for loss in LOSS]
# Steps of 3e-3 down: better by less than 1% and by more than 1e-3.
SLOW = [round(2 - 3e-3 * e, 6) for e in range(EPOCHS)]

CASES = [
    formula("MultiStepLR", {"kind": "steps", "boundaries": [30, 60, 80], "factor": 0.1},
            lambda o: lr_scheduler.MultiStepLR(o, [30, 60, 80])),
    formula("MultiStepLR, gamma 0.2", {"kind": "steps", "boundaries": [1, 2, 99], "factor": 0.2},
            lambda o: lr_scheduler.MultiStepLR(o, [1, 2, 99], gamma=0.2)),
    formula("ExponentialLR", {"kind": "exponential", "factor": 0.95},
            lambda o: lr_scheduler.ExponentialLR(o, 0.95)),
    formula("CosineAnnealingLR", {"kind": "cosine", "minimumRate": 0, "period": 100},
            lambda o: lr_scheduler.CosineAnnealingLR(o, 100)),
    formula("CosineAnnealingLR beyond its period",
            {"kind": "cosine", "minimumRate": 1e-3, "period": 30},
            lambda o: lr_scheduler.CosineAnnealingLR(o, 30, eta_min=1e-3)),
    formula("CosineAnnealingWarmRestarts",
            {"kind": "restarts", "minimumRate": 0, "period": 10, "periodFactor": 1},
            lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 10)),
    formula("CosineAnnealingWarmRestarts, periods that double",
            {"kind": "restarts", "minimumRate": 1e-4, "period": 7, "periodFactor": 2},
            lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 7, T_mult=2, eta_min=1e-4)),
    plateau("ReduceLROnPlateau", "validation-loss", LOSS),
    plateau("ReduceLROnPlateau, patience 0", "validation-loss", LOSS,
            {"patience": 0, "factor": 0.5}, patience=0, factor=0.5),
    plateau("ReduceLROnPlateau, cooldown and minimum", "validation-loss", LOSS,
            {"patience": 3, "cooldown": 5, "factor": 0.3, "minimumRate": 2e-3},
            patience=3, cooldown=5, factor=0.3, min_lr=2e-3),
    plateau("ReduceLROnPlateau, of the accuracy", "validation-accuracy", ACCURACY,
            {"patience": 4}, patience=4),
    plateau("ReduceLROnPlateau, of the accuracy, absolute", "training-accuracy", ACCURACY,
            {"patience": 4, "threshold": 0.01, "thresholdKind": "absolute"},
            patience=4, threshold=0.01, threshold_mode="abs"),
    plateau("ReduceLROnPlateau, relative threshold", "training-loss", SLOW,
            {"threshold": 0.01, "patience": 5}, threshold=0.01, patience=5),
    plateau("ReduceLROnPlateau, absolute threshold", "training-loss", SLOW,
            {"threshold": 0.01, "thresholdKind": "absolute", "patience": 2, "factor": 0.5},
            threshold=0.01, threshold_mode="abs", patience=2, factor=0.5),
    plateau("ReduceLROnPlateau, the wrong mode", "validation-error", SLOW,
            {"mode": "max", "patience": 20}, mode="max", patience=20),
    plateau("ReduceLROnPlateau, changes of no more than 0.02", "validation-loss", SLOW,
            {"mode": "max", "patience": 5, "factor": 0.5, "smallestChange": 0.02},
            mode="max", patience=5, factor=0.5, eps=0.02),
]

LINES = ",\n".join(
    "  {\n" + ",\n".join(f"    {key}: {json.dumps(value)}" for key, value in case.items()) + ",\n  }"
    for case in CASES
)
print(f"""// deno-fmt-ignore-file: a list of rates is a line.
/**
 * The rates that PyTorch's schedulers give to {EPOCHS} epochs.
 *
 * Source: PyTorch {torch.__version__}, by bench/peers/schedule_values.py, which writes this file.
 */
import type {{ Recipe }} from "./recipe.ts";

/** One schedule's rates. */
export interface ScheduleValues {{
  readonly name: string;
  readonly schedule: Recipe["schedule"];
  /** Of each epoch. */
  readonly rates: readonly number[];
  /** What a plateau watches, at the end of each epoch. */
  readonly values?: readonly number[];
}}

export const SCHEDULE_VALUES: readonly ScheduleValues[] = [
{LINES},
];""")
