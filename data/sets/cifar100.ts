/**
 * CIFAR-100 with its fine labels. Hashes: as torchvision-ruby verifies the files
 * and as it and MLDatasets.jl verify the archive. Channel statistics: those of
 * weiaicunzai/pytorch-cifar100, rounded; they were not measured here.
 */
import { cifarSet } from "../cifar.ts";
import type { DatasetDefinition } from "../definition.ts";

/** The registry's entry. */
export const CIFAR100: DatasetDefinition = cifarSet({
  title: "CIFAR-100",
  folder: "cifar-100-binary",
  archive: {
    url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    bytes: 168_513_733,
    sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
  },
  labelBytes: 2,
  train: [{
    name: "train.bin",
    images: 50_000,
    sha256: "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
  }],
  test: [{
    name: "test.bin",
    images: 10_000,
    sha256: "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
  }],
  // As in the archive's `fine_label_names.txt`.
  classNames: `
  apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
  butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
  crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house
  kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
  mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
  plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
  shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table
  tank telephone television tiger tractor train trout tulip turtle wardrobe whale
  willow_tree wolf woman worm
`.trim().split(/\s+/),
}, {
  split: { training: 45_000, validation: 5_000 },
  channels: { mean: [0.5071, 0.4865, 0.4409], std: [0.2673, 0.2564, 0.2762] },
});
