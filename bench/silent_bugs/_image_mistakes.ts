/** Mistakes in what becomes of images before they reach the network. */
import type { Mistake } from "./_mistake.ts";

/** Enough for the first 1,024 images of an epoch. */
const FEW = 12;
/** Past the end of a tenth's first epoch: 36 steps, and the second's first 1,024 images. */
const TWO_EPOCHS = 46;

const LOOP_AUGMENTED = "train_set = Subset(augmented, train_part.indices)";
const LOOP_CROP =
  "    transforms.RandomCrop(32, padding=4),\n    transforms.RandomHorizontalFlip(),\n";
const LOOP_STEP = "        optimizer.zero_grad()\n        outputs";
const TRAINER_CROP = "            image = self.random_crop(image)\n";
const FUNCTIONAL_AUGMENT = "            images = augment(images, rng)\n";

/** Mistakes in the images. */
export const IMAGE_MISTAKES: readonly Mistake[] = [
  {
    id: "subset-transform",
    what: "a transform is set on a Subset, which ignores it",
    met: ["growingnet/gromo#58", "torchgeo/torchgeo#257"],
    expects: ["augmentation"],
    steps: FEW,
    script: {
      loop: [[{
        find: LOOP_AUGMENTED,
        put: "train_set = Subset(plain, train_part.indices)\ntrain_set.transform = train_transform",
      }]],
      trainer: [[{
        find: "train_set = Subset(augmented, train_indices)",
        put: "train_set = Subset(plain, train_indices)\n        train_set.augment = True",
      }]],
    },
  },
  {
    id: "discarded-transform",
    what: "the transform of a batch is called, its result is not used",
    met: [],
    expects: ["augmentation"],
    steps: FEW,
    script: {
      loop: [[
        { find: LOOP_AUGMENTED, put: "train_set = Subset(plain, train_part.indices)" },
        {
          find: LOOP_STEP,
          put: "        for image in images:\n" +
            "            transforms.RandomHorizontalFlip()(transforms.RandomCrop(32, padding=4)(image))\n" +
            LOOP_STEP,
        },
      ]],
      trainer: [[
        { find: TRAINER_CROP, put: "            self.random_crop(image)\n" },
        { find: "                image = image.flip(2)\n", put: "                image.flip(2)\n" },
      ]],
      functional: [
        [{ find: FUNCTIONAL_AUGMENT, put: "            augment(images, rng)\n" }],
        [{ find: FUNCTIONAL_AUGMENT, put: "            augmented = augment(images, rng)\n" }],
      ],
    },
  },
  {
    id: "one-view-a-batch",
    what: "a random crop of the batch's tensor: one offset for all of its images",
    met: ["pytorch/vision#2929", "pytorch/vision#8484"],
    expects: ["view-of-each-image"],
    steps: 24,
    script: {
      loop: [[
        { find: LOOP_AUGMENTED, put: "train_set = Subset(plain, train_part.indices)" },
        {
          find: LOOP_STEP,
          put: "        images = transforms.RandomCrop(32, padding=4)(images)\n" +
            "        images = transforms.RandomHorizontalFlip()(images)\n" + LOOP_STEP,
        },
      ]],
      trainer: [[
        {
          find: "augmented = CifarImages(images, labels, mean, augment=True)",
          put: "augmented = CifarImages(images, labels, mean)",
        },
        {
          find: "            loss = self.step(images, labels)\n",
          put: "            images = self.train_loader.dataset.dataset.random_crop(images)\n" +
            "            if random.random() < 0.5:\n" +
            "                images = images.flip(3)\n" +
            "            loss = self.step(images, labels)\n",
        },
        {
          find: "padded[:, top:top + 32, left:left + 32]",
          put: "padded[..., top:top + 32, left:left + 32]",
        },
      ]],
      functional: [[
        {
          find: "    offsets = rng.integers(0, 9, size=(len(x), 2))\n" +
            "    flips = rng.random(len(x)) < 0.5\n",
          put: "    offsets = [rng.integers(0, 9, size=2)] * len(x)\n" +
            "    flips = [rng.random() < 0.5] * len(x)\n",
        },
      ]],
    },
  },
  {
    id: "same-view-each-epoch",
    what: "every epoch has the same views: worker seeds, or augmentation before the loop",
    met: [
      "xingyizhou/CenterNet#233",
      "Lightning-AI/pytorch-lightning#20412",
      "ternaus/robot-surgery-segmentation#10",
    ],
    expects: ["views-over-epochs"],
    steps: TWO_EPOCHS,
    script: {
      loop: [[{
        find: LOOP_AUGMENTED,
        put: "train_set = [augmented[i] for i in train_part.indices]",
      }]],
      trainer: [[
        {
          find: "shuffle=True, num_workers=2)",
          put: "shuffle=True, num_workers=<<workers>>,\n" +
            "                                       worker_init_fn=lambda _: random.seed(self.args.seed))",
        },
      ]],
      functional: [[
        { find: FUNCTIONAL_AUGMENT, put: "" },
        {
          find: "    model = ResNet()\n",
          put: "    x_train = augment(x_train, rng)\n    model = ResNet()\n",
        },
      ]],
    },
    values: { workers: ["1", "2"] },
  },
  {
    id: "resized-crop",
    what: "RandomResizedCrop in the place of padding and cropping",
    met: [],
    expects: ["crop"],
    steps: FEW,
    script: {
      loop: [[{
        find: "    transforms.RandomCrop(32, padding=4),\n",
        put: "    transforms.RandomResizedCrop(32<<scale>>),\n",
      }]],
      trainer: [[{
        find: "        padded = F.pad(image, (4, 4, 4, 4))\n" +
          "        top, left = random.randint(0, 8), random.randint(0, 8)\n" +
          "        return padded[:, top:top + 32, left:left + 32]\n",
        put: "        side = random.randint(<<smallest>>, 32)\n" +
          "        top, left = random.randint(0, 32 - side), random.randint(0, 32 - side)\n" +
          "        part = image[None, :, top:top + side, left:left + side]\n" +
          '        return F.interpolate(part, size=32, mode="bilinear", align_corners=False)[0]\n',
      }]],
      functional: [[{
        find: "        view = padded[i, :, top:top + 32, left:left + 32]\n",
        put: "        side = rng.integers(<<smallest>>, 33)\n" +
          "        top, left = rng.integers(0, 33 - side, size=2)\n" +
          "        part = torch.from_numpy(x[i:i + 1, :, top:top + side, left:left + side])\n" +
          '        view = F.interpolate(part, size=(32, 32), mode="bilinear")[0].numpy()\n',
      }]],
    },
    values: {
      scale: ["", ", scale=(0.5, 1.0)", ", scale=(0.8, 1.0)"],
      smallest: ["12", "20", "24"],
    },
  },
  {
    id: "augmented-validation",
    what: "validation shares the training's transform",
    met: ["gpleiss/efficient_densenet_pytorch#51"],
    expects: ["validation-view"],
    steps: FEW,
    script: {
      loop: [[{
        find: "val_set = Subset(plain, val_part.indices)",
        put: "val_set = Subset(augmented, val_part.indices)",
      }]],
      trainer: [[{
        find: "val_set = Subset(plain, val_indices)",
        put: "val_set = Subset(augmented, val_indices)",
      }]],
      functional: [[{
        find: "test(model, x_val, y_val)",
        put: "test(model, augment(x_val, rng), y_val)",
      }]],
    },
  },
  {
    id: "per-image-mean",
    what: "each image's own mean is subtracted",
    met: ["opencv/opencv#9108", "intel/BigDL#1048"],
    expects: ["mean"],
    steps: FEW,
    script: {
      loop: [[{
        find: "transforms.Lambda(lambda image: image - mean)",
        put: "transforms.Lambda(\n    lambda image: <<own>>\n)",
      }]],
      trainer: [[{
        find: "        image = image - self.mean\n",
        put: "        image = <<own>>\n",
      }]],
      functional: [[
        {
          find:
            "    x_train = x_train - mean\n    x_val = x_val - mean\n    x_test = x_test - mean\n",
          put: "    x_train = x_train - x_train.mean(axis=<<axes>>, keepdims=True)\n" +
            "    x_val = x_val - x_val.mean(axis=<<axes>>, keepdims=True)\n" +
            "    x_test = x_test - x_test.mean(axis=<<axes>>, keepdims=True)\n",
        },
      ]],
    },
    values: {
      own: [
        "image - image.mean()",
        "image - image.mean(dim=(1, 2), keepdim=True)",
        "(image - image.mean(dim=(1, 2), keepdim=True)) / image.std().clamp(min=0.02)",
      ],
      axes: ["(2, 3)", "(1, 2, 3)"],
    },
  },
  {
    id: "test-not-normalised",
    what: "training images are normalised, test images are not",
    met: [],
    expects: ["same-preparation"],
    steps: FEW,
    tests: true,
    script: {
      loop: [
        [{
          find: "train=False, transform=test_transform)",
          put: "train=False, transform=to_tensor)",
        }],
        [{
          find: "    to_tensor,\n    subtract_mean,\n])\n\naugmented",
          put: "    to_tensor,\n])\n\naugmented",
        }],
      ],
      trainer: [[{
        find: "CifarImages(test_images, test_labels, mean)",
        put: "CifarImages(test_images, test_labels, 0)",
      }]],
      functional: [
        [{ find: "    x_test = x_test - mean\n", put: "" }],
        [{ find: "    x_val = x_val - mean\n    x_test = x_test - mean\n", put: "" }],
      ],
    },
  },
  {
    id: "reshape-not-transpose",
    what: "bytes are reshaped to an image where its axes have to be exchanged",
    met: ["Trusted-AI/adversarial-robustness-toolbox#2101"],
    expects: ["pixel-order"],
    steps: FEW,
    script: {
      loop: [[{
        find: "to_tensor = transforms.ToTensor()\n",
        put: "to_tensor = transforms.Compose([\n    transforms.ToTensor(),\n" +
          "    transforms.Lambda(lambda image: image.permute(1, 2, 0).reshape(3, 32, 32)),\n])\n",
      }]],
      trainer: [[{
        find: "images = rows[:, 1:].reshape(-1, 3, 32, 32)",
        put: "images = rows[:, 1:].reshape(-1, 32, 32, 3).permute(0, 3, 1, 2)",
      }]],
      functional: [
        [{
          find: "pixels = rows[:, 1:].reshape(-1, 3, 32, 32)",
          put: "pixels = rows[:, 1:].reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)",
        }],
        [{
          find: "pixels = rows[:, 1:].reshape(-1, 3, 32, 32)",
          put: "pixels = rows[:, 1:].reshape(-1, 3, 32, 32)\n" +
            "    pixels = pixels.transpose(0, 2, 3, 1).reshape(-1, 3, 32, 32)",
        }],
      ],
    },
  },
  {
    id: "bgr",
    what: "blue comes first",
    met: ["open-mmlab/mmpretrain#280"],
    expects: ["channel-order"],
    steps: FEW,
    script: {
      loop: [[{
        find: "to_tensor = transforms.ToTensor()\n",
        put: "to_tensor = transforms.Compose([\n    transforms.ToTensor(),\n" +
          "    transforms.Lambda(lambda image: image.flip(0)),\n])\n",
      }]],
      trainer: [[{
        find: "images = rows[:, 1:].reshape(-1, 3, 32, 32)",
        put: "images = rows[:, 1:].reshape(-1, 3, 32, 32)[:, [2, 1, 0]]",
      }]],
      functional: [[{
        find: "pixels = rows[:, 1:].reshape(-1, 3, 32, 32)",
        put: "pixels = rows[:, 1:].reshape(-1, 3, 32, 32)[:, ::-1]",
      }]],
    },
  },
  {
    id: "divided-twice",
    what: "pixels are divided by 255 twice",
    met: ["4uiiurz1/pytorch-nested-unet#62"],
    expects: ["scale"],
    steps: FEW,
    script: {
      loop: [[{
        find: "to_tensor = transforms.ToTensor()\n",
        put: "to_tensor = transforms.Compose([\n    transforms.ToTensor(),\n" +
          "    transforms.Lambda(lambda image: image / 255),\n])\n",
      }]],
      trainer: [[{
        find: "image = self.images[index].float() / 255\n",
        put: "image = self.images[index].float() / 255 / 255\n",
      }, { find: "mean(dim=0) / 255\n", put: "mean(dim=0) / 255 / 255\n" }]],
      functional: [[{
        find: "return pixels.astype(np.float32), rows",
        put: "pixels = pixels.astype(np.float32) / 255\n    return pixels / 255, rows",
      }]],
    },
  },
  {
    id: "other-constants",
    what: "mean and deviation of another data set",
    met: ["gpleiss/efficient_densenet_pytorch#68", "akamaster/pytorch_resnet_cifar10#9"],
    expects: ["mean"],
    steps: FEW,
    script: {
      loop: [[{
        find: "transforms.Lambda(lambda image: image - mean)",
        put: "transforms.Normalize([<<mean>>], [<<deviation>>])",
      }]],
      trainer: [[{
        find: "        image = image - self.mean\n",
        put: "        mean, deviation = torch.tensor([[<<mean>>], [<<deviation>>]])\n" +
          "        image = (image - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)\n",
      }]],
      functional: [[{
        find:
          "    x_train = x_train - mean\n    x_val = x_val - mean\n    x_test = x_test - mean\n",
        put: "    mean = 255 * np.array([<<mean>>], np.float32).reshape(3, 1, 1)\n" +
          "    deviation = 255 * np.array([<<deviation>>], np.float32).reshape(3, 1, 1)\n" +
          "    x_train = (x_train - mean) / deviation\n" +
          "    x_val = (x_val - mean) / deviation\n" +
          "    x_test = (x_test - mean) / deviation\n",
      }]],
    },
    values: {
      mean: ["0.485, 0.456, 0.406", "0.5, 0.5, 0.5", "0.4377, 0.4438, 0.4728"],
      deviation: ["0.229, 0.224, 0.225", "0.5, 0.5, 0.5", "0.198, 0.201, 0.197"],
    },
  },
  {
    id: "augmented-test",
    what: "a random crop in the test's transform",
    met: ["dmlc/gluon-cv#816"],
    expects: ["test-view"],
    steps: FEW,
    tests: true,
    script: {
      loop: [
        [{
          find: "train=False, transform=test_transform)",
          put: "train=False, transform=train_transform)",
        }],
        [{
          find: "test_transform = transforms.Compose([\n",
          put: `test_transform = transforms.Compose([\n${LOOP_CROP.split("\n")[0]}\n`,
        }],
      ],
      trainer: [[{
        find: "CifarImages(test_images, test_labels, mean)",
        put: "CifarImages(test_images, test_labels, mean, augment=True)",
      }]],
      functional: [[{
        find: "test(model, x_test, y_test)",
        put: "test(model, augment(x_test, rng), y_test)",
      }]],
    },
  },
];
