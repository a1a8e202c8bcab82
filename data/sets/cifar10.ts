/**
 * CIFAR-10. File hashes: computed from the published files; the archive's: as
 * TensorFlow Datasets and MLDatasets.jl verify it. The channel statistics are
 * those over all pixels of the 50,000 training images; code that divides by
 * 0.2023, 0.1994, 0.2010 instead took the mean of each image's own deviation.
 */
import { cifarSet } from "../cifar.ts";
import type { DatasetDefinition } from "../definition.ts";

/** The registry's entry. */
export const CIFAR10: DatasetDefinition = cifarSet({
  title: "CIFAR-10",
  folder: "cifar-10-batches-bin",
  archive: {
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    bytes: 170_052_171,
    sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
  },
  labelBytes: 1,
  train: [
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
  ].map((sha256, i) => ({ name: `data_batch_${i + 1}.bin`, images: 10_000, sha256 })),
  test: [{
    name: "test_batch.bin",
    images: 10_000,
    sha256: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
  }],
  classNames: "airplane automobile bird cat deer dog frog horse ship truck".split(" "),
}, {
  split: { training: 45_000, validation: 5_000 },
  channels: { mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616] },
});
