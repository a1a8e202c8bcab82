/** Mistakes in the network and in the mode in which it is. */
import type { Mistake } from "./_mistake.ts";

const FEW = 12;

const LOOP_RATES = "        scheduler.step()\n";
const TRAINER_LOSS = "            loss = self.step(images, labels)\n";
const FUNCTIONAL_COUNT = "            iteration += 1\n";

/** Mistakes in the network and its mode. */
export const NETWORK_MISTAKES: readonly Mistake[] = [
  {
    id: "eval-forgotten",
    what: "tests are made in training mode",
    met: ["yunjey/pytorch-tutorial#62"],
    expects: ["evaluation-mode"],
    steps: FEW,
    tests: true,
    script: {
      loop: [[{ find: "    model.eval()\n", put: "" }]],
      trainer: [[{ find: "        self.model.eval()\n", put: "" }]],
      functional: [[{ find: "    model.eval()\n", put: "" }]],
    },
  },
  {
    id: "train-not-restored",
    what: "evaluation mode is set before the loop and never taken back",
    met: [],
    expects: ["training-mode"],
    steps: FEW,
    script: {
      loop: [[
        { find: "    model.train()\n", put: "" },
        {
          find: "iteration = 0\nepoch",
          put: 'print(f"at first {evaluate(val_loader):.2f}%")\niteration = 0\nepoch',
        },
      ]],
      trainer: [[
        { find: "        self.model.train()\n", put: "" },
        { find: "        self.model = ResNet()\n", put: "        self.model = ResNet().eval()\n" },
      ]],
      functional: [[
        { find: "        model.train()\n", put: "" },
        {
          find: "    iteration = 0\n",
          put: '    print(f"untrained {test(model, x_val, y_val):.2f}%")\n    iteration = 0\n',
        },
      ]],
    },
  },
  {
    id: "trained-in-eval",
    what: "the network, or its batch norms, are in evaluation mode during training",
    met: ["Lightning-AI/pytorch-lightning#20105"],
    expects: ["training-mode"],
    steps: FEW,
    script: {
      loop: [
        [{ find: "    model.train()\n", put: "    model.eval()\n" }],
        [{
          find: "    model.train()\n",
          put: "    model.train()\n    for module in model.modules():\n" +
            "        if isinstance(module, nn.BatchNorm2d):\n            module.eval()\n",
        }],
      ],
      trainer: [
        [{ find: "        self.model.train()\n", put: "        self.model.train(False)\n" }],
        [{
          find: "        self.model.train()\n",
          put: "        self.model.train()\n" +
            "        for child in self.model.children():\n            child.eval()\n",
        }],
      ],
      functional: [[{ find: "        model.train()\n", put: "        model.eval()\n" }]],
    },
  },
  {
    id: "eval-left-on",
    what: "a validation in the middle of an epoch leaves evaluation mode on",
    met: ["wkentaro/pytorch-fcn#56"],
    expects: ["training-mode"],
    steps: 36,
    script: {
      loop: [[{
        find: LOOP_RATES,
        put: `${LOOP_RATES}        if iteration % <<every>> == <<every>> - 1:\n` +
          '            print(f"validation error {evaluate(val_loader):.2f}%")\n',
      }]],
      trainer: [[{
        find: TRAINER_LOSS,
        put: `${TRAINER_LOSS}            if self.iteration % <<every>> == 0:\n` +
          '                print(f"validation error {self.error(self.val_loader):.4f}")\n',
      }]],
      functional: [[{
        find: FUNCTIONAL_COUNT,
        put: `${FUNCTIONAL_COUNT}            if iteration % <<every>> == 0:\n` +
          '                print(f"validation error {test(model, x_val, y_val):.2f}%")\n',
      }]],
    },
    values: { every: ["12", "16", "20"] },
  },
  {
    id: "stem-without-norm",
    what: "no batch norm and no ReLU behind the first convolution",
    met: ["google/flax#343"],
    expects: ["batch-norm", "activation", "stem"],
    steps: FEW,
    net: {
      resnet8: [[
        {
          find: "        out = F.relu(self.bn1(self.conv1(x)))\n        out = self.layer3",
          put: "        out = self.conv1(x)\n        out = self.layer3",
        },
        { find: "        self.bn1 = BatchNorm(16)\n", put: "" },
      ]],
      resnet14: [[{
        find:
          "            conv(3, 16),\n            norm(16),\n            nn.ReLU(inplace=True),\n",
        put: "            conv(3, 16),\n",
      }]],
    },
  },
  {
    id: "no-relu-after-add",
    what: "no ReLU behind a block's addition",
    met: ["D-X-Y/AutoDL-Projects#65"],
    expects: ["activation"],
    steps: FEW,
    net: {
      resnet8: [[{ find: "        return F.relu(out)\n", put: "        return out\n" }]],
      resnet14: [[{
        find: "return self.relu(self.branch(x) + shortcut)",
        put: "return self.branch(x) + shortcut",
      }]],
    },
  },
  {
    id: "relu-before-add",
    what: "the block's second ReLU stands before the addition",
    met: ["kuangliu/pytorch-cifar#4"],
    expects: ["activation"],
    steps: FEW,
    net: {
      resnet8: [[
        {
          find: "        out = self.bn2(self.conv2(out))\n",
          put: "        out = F.relu(self.bn2(self.conv2(out)))\n",
        },
        { find: "        return F.relu(out)\n", put: "        return out\n" },
      ]],
      resnet14: [
        [{
          find: "return self.relu(self.branch(x) + shortcut)",
          put: "return self.relu(self.branch(x)) + shortcut",
        }],
        [{
          find: "return self.relu(self.branch(x) + shortcut)",
          put: "return self.relu(self.relu(self.branch(x)) + shortcut)",
        }],
      ],
    },
  },
  {
    id: "imagenet-stem",
    what: "ImageNet's 7x7 stem and pooling, on images of 32x32",
    met: ["weiaicunzai/pytorch-cifar100#29"],
    expects: ["stem", "subsampling"],
    steps: FEW,
    net: {
      resnet8: [[
        {
          find: "        self.conv1 = conv3x3(3, 16)\n",
          put: "        self.conv1 = nn.Conv2d(3, 16, 7, stride=2, padding=3, bias=False)\n",
        },
        {
          find: "        out = F.relu(self.bn1(self.conv1(x)))\n        out = self.layer3",
          put: "        out = F.relu(self.bn1(self.conv1(x)))\n" +
            "        out = F.max_pool2d(out, 3, stride=2, padding=1)\n        out = self.layer3",
        },
      ]],
      resnet14: [[{
        find:
          "            conv(3, 16),\n            norm(16),\n            nn.ReLU(inplace=True),\n",
        put: "            nn.Conv2d(3, 16, 7, stride=2, padding=3, bias=False),\n" +
          "            norm(16),\n            nn.ReLU(inplace=True),\n" +
          "            nn.MaxPool2d(3, stride=2, padding=1),\n",
      }]],
    },
  },
  {
    id: "norm-momentum",
    what: "batch norm has a momentum of 0.9 where PyTorch's sense of it asks for 0.1",
    met: ["eriklindernoren/PyTorch-YOLOv3#230"],
    expects: ["running-statistics"],
    steps: FEW,
    net: {
      resnet8: [[
        {
          find: "BatchNorm = nn.BatchNorm2d\n",
          put: "\ndef BatchNorm(width):\n    return nn.BatchNorm2d(width, momentum=<<momentum>>)\n",
        },
      ]],
      resnet14: [[{
        find: "functools.partial(nn.BatchNorm2d)",
        put: "functools.partial(nn.BatchNorm2d, momentum=<<momentum>>)",
      }]],
    },
    values: { momentum: ["0.9", "0.99", "0.997"] },
  },
];
