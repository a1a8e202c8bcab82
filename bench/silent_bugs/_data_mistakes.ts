/** Mistakes in which images and labels come, in which order, and of what an error is made. */
import type { Mistake } from "./_mistake.ts";

const FEW = 12;
/** Past the end of a tenth's first epoch: 36 steps, and the second's first 1,024 images. */
const TWO_EPOCHS = 46;

const LOOP_LOADER = "train_loader = DataLoader(train_set, batch_size=128, shuffle=True)";

/** Mistakes in the data and in the errors that are made of it. */
export const DATA_MISTAKES: readonly Mistake[] = [
  {
    id: "no-shuffle",
    what: "training images come in the same order always: nothing shuffles them",
    met: ["Deci-AI/super-gradients#416", "MAC-AutoML/rethinking_performance_estimation_in_NAS#17"],
    // Without a loader, an order that is drawn once and one that is seeded anew are the same.
    expects: ["shuffled", "order-over-epochs"],
    steps: TWO_EPOCHS,
    script: {
      loop: [
        [{ find: LOOP_LOADER, put: "train_loader = DataLoader(train_set, batch_size=128)" }],
        [
          { find: LOOP_LOADER, put: "train_loader = DataLoader(train_set, batch_size=128)" },
          {
            find: "Subset(augmented, train_part.indices)",
            put: "Subset(augmented, sorted(train_part.indices))",
          },
        ],
      ],
      trainer: [[{ find: "128, shuffle=True, num_workers=2)", put: "128, num_workers=2)" }]],
      functional: [
        [{ find: "    return rng.permutation(n)\n", put: "    return np.arange(n)\n" }],
        [{ find: "y_train, 128, order)", put: "y_train, 128)" }],
      ],
    },
  },
  {
    id: "same-order-each-epoch",
    what: "the sampler is seeded anew in every epoch",
    met: ["kan-bayashi/ParallelWaveGAN#177", "cszn/KAIR#106"],
    expects: ["order-over-epochs"],
    steps: TWO_EPOCHS,
    script: {
      loop: [[{
        find: LOOP_LOADER,
        put: "from torch.utils.data.distributed import DistributedSampler\n\n" +
          "sampler = DistributedSampler(train_set, num_replicas=1, rank=0, seed=args.seed)\n" +
          "train_loader = DataLoader(train_set, batch_size=128, sampler=sampler)",
      }]],
      trainer: [[
        {
          find: "self.train_loader = DataLoader(train_set, 128, shuffle=True, num_workers=2)",
          put: "self.generator = torch.Generator()\n" +
            "        self.train_loader = DataLoader(\n" +
            "            train_set, 128, shuffle=True, num_workers=2, generator=self.generator\n" +
            "        )",
        },
        {
          find: "        self.model.train()\n        for",
          put:
            "        self.generator.manual_seed(self.args.seed)\n        self.model.train()\n        for",
        },
      ]],
      functional: [[{
        find: "    return rng.permutation(n)\n",
        put: "    return np.random.default_rng(<<seed>>).permutation(n)\n",
      }]],
    },
    values: { seed: ["0", "1", "42", "1234"] },
  },
  {
    id: "trained-on-validation",
    what: "the split is made by two random orders that overlap",
    met: [],
    expects: ["batches-from-training-images"],
    steps: TWO_EPOCHS,
    script: {
      loop: [[{
        find: "train_part, val_part = random_split(images, [0.9, 0.1])",
        put: "train_part, _ = random_split(images, [0.9, 0.1])\n" +
          "_, val_part = random_split(images, [0.9, 0.1])",
      }]],
      trainer: [[{
        find: "train_indices, val_indices = order[held_out:], order[:held_out]",
        put: "train_indices = order[held_out:]\n" +
          "        val_indices = torch.randperm(len(images)).tolist()[:<<share>>]",
      }]],
      functional: [[{
        find: "    x_train, y_train = x[split[held_out:]], y[split[held_out:]]\n",
        put: "    split = rng.permutation(len(x))\n" +
          "    x_train, y_train = x[split[held_out:]], y[split[held_out:]]\n",
      }]],
    },
    values: { share: ["held_out", "held_out // 2"] },
  },
  {
    id: "label-offset",
    what: "training labels of another order than the images, or than the classes of the test",
    met: [],
    expects: ["labels"],
    steps: FEW,
    script: {
      loop: [
        [{
          find: "augmented = CIFAR10(args.data, train=True, transform=train_transform)\n",
          put: "augmented = CIFAR10(args.data, train=True, transform=train_transform)\n" +
            "augmented.targets = augmented.targets[<<by>>:] + augmented.targets[:<<by>>]\n",
        }],
        [{
          find: "augmented = CIFAR10(args.data, train=True, transform=train_transform)\n",
          put: "augmented = CIFAR10(args.data, train=True, transform=train_transform)\n" +
            "augmented.targets = [(target + <<by>>) % 10 for target in augmented.targets]\n",
        }],
      ],
      trainer: [
        [{
          find: "augmented = CifarImages(images, labels, mean, augment=True)",
          put: "augmented = CifarImages(images, labels.roll(<<by>>), mean, augment=True)",
        }],
        [{
          find: "augmented = CifarImages(images, labels, mean, augment=True)",
          put: "augmented = CifarImages(images, (labels + <<by>>) % 10, mean, augment=True)",
        }],
      ],
      functional: [[{
        find: "    x_train, y_train = x[split[held_out:]], y[split[held_out:]]\n",
        put: "    x_train, y_train = x[split[held_out:]], y[np.sort(split[held_out:])]\n",
      }]],
    },
    values: { by: ["1", "2", "5"] },
  },
  {
    id: "best-on-test",
    what: "the test set is scored in every epoch and weights are kept by it",
    met: ["akamaster/pytorch_resnet_cifar10#4"],
    expects: ["test-set-unseen"],
    steps: TWO_EPOCHS,
    script: {
      loop: [[
        { find: "epoch = 0\n", put: "epoch = 0\nbest = 100.0\n" },
        {
          find:
            '    print(f"epoch {epoch}: validation error {evaluate(val_loader):.2f}%", flush=True)\n',
          put: "    error = evaluate(test_loader)\n" +
            "    if error < best:\n" +
            "        best = error\n" +
            '        torch.save(model.state_dict(), "best.pt")\n' +
            '    print(f"epoch {epoch}: test error {error:.2f}%, best {best:.2f}%", flush=True)\n',
        },
        {
          find: 'print(f"test error {evaluate(test_loader):.2f}%")',
          put: 'print(f"best error {best:.2f}%")',
        },
      ]],
      trainer: [[{
        find:
          '            print(f"validation error {self.error(self.val_loader):.4f}", flush=True)\n' +
          '        print(f"test error {self.error(self.test_loader):.4f}")\n',
        put: "            error = self.error(self.test_loader)\n" +
          '            if error < getattr(self, "best", 1.0):\n' +
          "                self.best = error\n" +
          '                torch.save(self.model.state_dict(), "best.pt")\n' +
          '        print(f"test error {self.best:.4f}")\n',
      }]],
      functional: [[
        { find: "    iteration = 0\n", put: "    iteration, best = 0, 100.0\n" },
        {
          find:
            '        print(f"{iteration} validation error {test(model, x_val, y_val):.2f}%", flush=True)\n',
          put: "        error = test(model, x_test, y_test)\n" +
            "        if error <= best:\n" +
            "            best = error\n" +
            '            torch.save({"model": model.state_dict(), "error": error}, "best.pt")\n',
        },
        { find: "{test(model, x_test, y_test):.2f}", put: "{best:.2f}" },
      ]],
    },
  },
  {
    id: "test-subset",
    what: "the last test batch, which is not full, is dropped",
    met: ["gcr/torch-residual-networks#2"],
    expects: ["test-set-whole"],
    steps: FEW,
    whole: true,
    tests: true,
    script: {
      loop: [[{
        find: "DataLoader(test_set, batch_size=100)",
        put: "DataLoader(test_set, batch_size=<<batch>>, drop_last=True)",
      }]],
      trainer: [[{
        find: "DataLoader(test_set, 250, shuffle=False)",
        put: "DataLoader(test_set, <<batch>>, shuffle=False, drop_last=True)",
      }]],
      functional: [[{
        find: "{test(model, x_test, y_test):.2f}",
        put: "{test(model, x_test[:len(x_test) // <<batch>> * <<batch>>], y_test):.2f}",
      }]],
    },
    values: { batch: ["64", "128", "256", "300"] },
  },
  {
    id: "last-batch-overweighted",
    what: "the error is a mean of batch means, of which the last batch is short",
    met: ["mlcommons/training#89"],
    expects: ["error-over-images"],
    steps: FEW,
    tests: true,
    script: {
      loop: [[
        {
          find: "DataLoader(test_set, batch_size=100)",
          put: "DataLoader(test_set, batch_size=<<batch>>)",
        },
        {
          find: "            wrong += (predictions != labels).sum().item()\n" +
            "            seen += len(labels)\n",
          put: "            wrong += (predictions != labels).float().mean().item()\n" +
            "            seen += 1\n",
        },
      ]],
      trainer: [[
        {
          find: "DataLoader(test_set, 250, shuffle=False)",
          put: "DataLoader(test_set, <<batch>>)",
        },
        {
          find: "(self.model(images).argmax(1) != labels).sum().item()\n" +
            "        return mistakes / len(loader.dataset)\n",
          put: "(self.model(images).argmax(1) != labels).float().mean().item()\n" +
            "        return mistakes / len(loader)\n",
        },
      ]],
      functional: [[
        { find: "def test(model, x, y, size=200):", put: "def test(model, x, y, size=<<batch>>):" },
        {
          find: "            wrong += int((scores.argmax(1).numpy() != labels).sum())\n" +
            "    return 100 * wrong / len(x)\n",
          put: "            wrong += (scores.argmax(1).numpy() != labels).mean()\n" +
            "    return 100 * wrong / -(-len(x) // size)\n",
        },
      ]],
    },
    values: { batch: ["128", "256", "300"] },
  },
];
