/** Mistakes in the loss, the optimiser and the rates. */
import type { Mistake } from "./_mistake.ts";

const FEW = 12;
/** Past the end of a tenth's first epoch: 36 steps, and the second's first 1,024 images. */
const TWO_EPOCHS = 46;

const LOOP_STEP = "        optimizer.step()\n";
const LOOP_RATES = "        scheduler.step()\n";
const LOOP_EPOCH = "    epoch += 1\n";
const LOOP_SCHEDULER = "torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[32000, 48000])";
const LOOP_DECAY = "momentum=0.9, weight_decay=1e-4)";
const TRAINER_STEP = "        self.optimizer.step()\n";
const TRAINER_RATES = "        self.scheduler.step()\n";
const TRAINER_EPOCH = "            self.train_epoch()\n";
const TRAINER_SCHEDULER =
  "optim.lr_scheduler.MultiStepLR(self.optimizer, [32000, 48000], gamma=0.1)";
const TRAINER_OPTIMISER = "optim.SGD(\n" +
  "            self.model.parameters(),\n            lr=0.1,\n            momentum=0.9,\n" +
  "            weight_decay=0.0001,\n        )";
const FUNCTIONAL_STEP = "    optimizer.step()\n";
const FUNCTIONAL_RATES = "    scheduler.step()\n";
const FUNCTIONAL_SCHEDULER = "torch.optim.lr_scheduler.LambdaLR(optimizer, rate_factor)";
const FUNCTIONAL_DECAY = "0.1, momentum=0.9, weight_decay=1e-4)";

/** An optimiser of one's own, as people write it: the decay is an option that nothing reads. */
const OWN_SGD = `class OwnSGD(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum, weight_decay):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                buffer.mul_(group["momentum"]).add_(p.grad)
                p.sub_(group["lr"] * buffer)


`;

/** Mistakes in the training. */
export const TRAINING_MISTAKES: readonly Mistake[] = [
  {
    id: "double-softmax",
    what: "softmax, then cross entropy, which has its own",
    met: ["GiorgiaD/PEPITA#1", "exelban/tensorflow-cifar-10#7"],
    expects: ["logits"],
    steps: FEW,
    script: {
      loop: [[{
        find: "loss = criterion(outputs, labels)",
        put: "loss = criterion(torch.softmax(outputs, dim=1), labels)",
      }]],
      trainer: [[{
        find: "        logits = self.model(images)\n",
        put: "        logits = F.softmax(self.model(images), dim=-1)\n",
      }]],
      functional: [[{
        find: "F.cross_entropy(model(torch.from_numpy(x)), ",
        put: "F.cross_entropy(model(torch.from_numpy(x)).softmax(1), ",
      }]],
    },
    net: {
      resnet8: [[{
        find: "        return self.linear(out)\n",
        put: "        return F.softmax(self.linear(out), dim=1)\n",
      }]],
      resnet14: [[{
        find: "        self.linear = nn.Linear(64, 10)\n",
        put: "        self.linear = nn.Sequential(nn.Linear(64, 10), nn.Softmax(dim=1))\n",
      }]],
    },
  },
  {
    id: "summed-loss",
    what: 'the losses of a batch are summed (reduction "sum") at a rate of 0.1',
    met: [],
    expects: ["loss"],
    steps: FEW,
    script: {
      loop: [[{ find: "nn.CrossEntropyLoss()", put: 'nn.CrossEntropyLoss(reduction="sum")' }]],
      trainer: [[{ find: "nn.CrossEntropyLoss()", put: 'nn.CrossEntropyLoss(reduction="sum")' }]],
      functional: [
        [{
          find: "torch.from_numpy(y))\n    loss",
          put: 'torch.from_numpy(y), reduction="sum")\n    loss',
        }],
        [{
          find: "torch.from_numpy(y))\n    loss",
          put: "torch.from_numpy(y)) * len(x)\n    loss",
        }],
      ],
    },
  },
  {
    id: "scheduler-per-batch",
    what: "milestones in epochs, and the scheduler is stepped in the batch loop",
    met: ["leftthomas/SRGAN#94", "ivadomed/ivadomed#55"],
    expects: ["learning-rate"],
    steps: FEW,
    script: {
      loop: [[{ find: "milestones=[32000, 48000]", put: "milestones=[<<epochs>>]" }]],
      trainer: [[{ find: "[32000, 48000]", put: "[<<epochs>>]" }]],
      functional: [[{
        find: FUNCTIONAL_SCHEDULER,
        put: "torch.optim.lr_scheduler.MultiStepLR(optimizer, [<<epochs>>])",
      }]],
    },
    values: { epochs: ["82, 123", "81, 122", "91, 136", "100, 150", "60, 120, 160"] },
  },
  {
    id: "scheduler-never",
    what: "a scheduler is made and never stepped",
    met: ["kuangliu/pytorch-cifar#2"],
    expects: ["learning-rate"],
    steps: TWO_EPOCHS,
    script: {
      loop: [[{ find: LOOP_RATES, put: "" }]],
      trainer: [[{ find: TRAINER_RATES, put: "" }]],
      functional: [[{ find: FUNCTIONAL_RATES, put: "" }]],
    },
  },
  {
    id: "epochs-for-iterations",
    what: "milestones of 32000 and 48000 are counted in epochs",
    met: ["akamaster/pytorch_resnet_cifar10#6"],
    expects: ["learning-rate"],
    steps: TWO_EPOCHS,
    script: {
      loop: [[
        { find: LOOP_RATES, put: "" },
        { find: LOOP_EPOCH, put: `    scheduler.step()\n${LOOP_EPOCH}` },
      ]],
      trainer: [[
        { find: TRAINER_RATES, put: "" },
        { find: TRAINER_EPOCH, put: `${TRAINER_EPOCH}            self.scheduler.step()\n` },
      ]],
      functional: [[
        { find: FUNCTIONAL_RATES, put: "" },
        {
          find: '        print(f"{iteration} validation',
          put: '        scheduler.step()\n        print(f"{iteration} validation',
        },
      ]],
    },
  },
  {
    id: "plateau-on-training-loss",
    what: "a plateau scheduler watches the training loss and never lowers the rate",
    met: [],
    expects: ["learning-rate"],
    steps: TWO_EPOCHS,
    script: {
      loop: [[
        {
          find: LOOP_SCHEDULER,
          put: "torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=<<patience>>)",
        },
        { find: LOOP_RATES, put: "" },
        { find: LOOP_EPOCH, put: `    scheduler.step(loss.item())\n${LOOP_EPOCH}` },
      ]],
      trainer: [[
        {
          find: TRAINER_SCHEDULER,
          put: "optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, patience=<<patience>>)",
        },
        { find: TRAINER_RATES, put: "" },
        {
          find: "            if self.iteration >= self.args.iterations:\n                break\n",
          put: "            if self.iteration >= self.args.iterations:\n                break\n" +
            "        self.scheduler.step(loss)\n",
        },
      ]],
      functional: [[
        {
          find: FUNCTIONAL_SCHEDULER,
          put: "torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=<<patience>>)",
        },
        { find: FUNCTIONAL_RATES, put: "" },
        {
          find: '        print(f"{iteration} validation',
          put: '        scheduler.step(loss)\n        print(f"{iteration} validation',
        },
      ]],
    },
    values: { patience: ["10", "50", "200", "1000"] },
  },
  {
    id: "no-zero-grad",
    what: "gradients are never cleared and accumulate",
    met: [],
    expects: ["gradients-cleared"],
    steps: FEW,
    script: {
      loop: [[{ find: "        optimizer.zero_grad()\n", put: "" }]],
      trainer: [[{ find: "        self.optimizer.zero_grad()\n", put: "" }]],
      functional: [[{ find: "    optimizer.zero_grad()\n", put: "" }]],
    },
  },
  {
    id: "head-not-optimised",
    what: "the optimiser is made before the last layer is replaced",
    met: [],
    expects: ["parameters-optimised"],
    steps: FEW,
    script: {
      loop: [[{
        find: "scheduler = torch",
        put: "model.linear = nn.Linear(64, 10)\nscheduler = torch",
      }]],
      trainer: [[{
        find: "        self.scheduler = optim",
        put: "        self.model.linear = nn.Linear(64, 10)\n        self.scheduler = optim",
      }]],
      functional: [[{
        find: "    scheduler = torch",
        put: "    model.linear = torch.nn.Linear(64, 10)\n    scheduler = torch",
      }]],
    },
  },
  {
    id: "decay-zero",
    what: "weight decay is forgotten",
    met: ["raghakot/keras-resnet#25"],
    expects: ["weight-decay"],
    steps: FEW,
    script: {
      loop: [
        [{ find: LOOP_DECAY, put: "momentum=0.9)" }],
        [{ find: LOOP_DECAY, put: "momentum=0.9, weight_decay=0)" }],
      ],
      trainer: [[{ find: "            weight_decay=0.0001,\n", put: "" }]],
      functional: [[{ find: FUNCTIONAL_DECAY, put: "0.1, momentum=0.9)" }]],
    },
  },
  {
    id: "decay-as-adamw",
    what: "decoupled weight decay, at the value for SGD's",
    met: [],
    expects: ["weight-decay", "optimiser"],
    steps: FEW,
    script: {
      loop: [
        [{
          find: "torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)",
          put: "torch.optim.AdamW(model.parameters(), lr=<<rate>>, weight_decay=1e-4)",
        }],
        [
          { find: LOOP_DECAY, put: "momentum=0.9)" },
          {
            find: LOOP_STEP,
            put: LOOP_STEP +
              "        with torch.no_grad():\n" +
              "            for parameter in model.parameters():\n" +
              '                parameter.mul_(1 - optimizer.param_groups[0]["lr"] * 1e-4)\n',
          },
        ],
      ],
      trainer: [[{
        find: TRAINER_OPTIMISER,
        put: "optim.AdamW(self.model.parameters(), lr=<<rate>>, weight_decay=0.0001)",
      }]],
      functional: [[
        { find: FUNCTIONAL_DECAY, put: "0.1, momentum=0.9)" },
        {
          find: FUNCTIONAL_STEP,
          put: "    for parameter in model.parameters():\n" +
            "        parameter.data -= scheduler.get_last_lr()[0] * 1e-4 * parameter.data\n" +
            FUNCTIONAL_STEP,
        },
      ]],
    },
    values: { rate: ["0.001", "0.003", "0.0003"] },
  },
  {
    id: "decay-ignored",
    what: "the weight decay that is given never reaches the step",
    met: ["fastai/fastai2#246"],
    expects: ["weight-decay"],
    steps: 30,
    script: {
      loop: [
        [
          { find: "torch.optim.SGD(", put: "OwnSGD(" },
          {
            find: "parser = argparse.ArgumentParser()\n",
            put: `${OWN_SGD}parser = argparse.ArgumentParser()\n`,
          },
        ],
        [
          { find: LOOP_DECAY, put: 'momentum=0.9)\noptimizer.defaults["weight_decay"] = 1e-4' },
        ],
      ],
      trainer: [
        [{
          find: TRAINER_OPTIMISER,
          put: "optim.SGD(\n" +
            '            [{"params": [p], "weight_decay": 0} for p in self.model.parameters()],\n' +
            "            lr=0.1,\n            momentum=0.9,\n            weight_decay=0.0001,\n        )",
        }],
        [
          { find: "optim.SGD(", put: "OwnSGD(" },
          { find: "class Trainer:", put: `${OWN_SGD}class Trainer:` },
        ],
      ],
      functional: [[
        {
          find: "torch.optim.SGD(model.parameters(), 0.1,",
          put: "OwnSGD(model.parameters(), 0.1,",
        },
        { find: "def main(args):", put: `${OWN_SGD}def main(args):` },
      ]],
    },
  },
  {
    id: "clipped",
    what: "gradients are clipped to a small norm",
    met: [],
    expects: ["gradients-clipped"],
    steps: FEW,
    script: {
      loop: [
        [{
          find: LOOP_STEP,
          put: `        nn.utils.clip_grad_norm_(model.parameters(), <<norm>>)\n${LOOP_STEP}`,
        }],
        [{
          find: LOOP_STEP,
          put: `        nn.utils.clip_grad_value_(model.parameters(), 0.001)\n${LOOP_STEP}`,
        }],
      ],
      trainer: [[{
        find: TRAINER_STEP,
        put: "        nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=<<norm>>)\n" +
          TRAINER_STEP,
      }]],
      functional: [
        [{
          find: FUNCTIONAL_STEP,
          put: "    torch.nn.utils.clip_grad_norm_(model.parameters(), <<norm>>)\n" +
            FUNCTIONAL_STEP,
        }],
        [{
          find: FUNCTIONAL_STEP,
          put: "    norm = sum(p.grad.square().sum() for p in model.parameters()).sqrt()\n" +
            "    for p in model.parameters():\n" +
            "        p.grad *= min(1.0, <<norm>> / norm.item())\n" + FUNCTIONAL_STEP,
        }],
      ],
    },
    values: { norm: ["0.1", "0.05", "0.2"] },
  },
];
