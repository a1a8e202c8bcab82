/**
 * Reads the weights in a file that PyTorch's `torch.save` wrote: the zip
 * archive of version 1.6 and later, TorchScript's of the same form, or the
 * older stream of pickles. No code of the file is run; what stands beside the
 * weights becomes values that do nothing.
 *
 * Source of the forms: torch/serialization.py and torch/csrc/jit/serialization
 * of PyTorch 2.13.
 */
import { savedTraining } from "./saved_training.ts";
import { beginsWith, type Contents, type Format } from "./format.ts";
import { unpickle } from "./_pickle.ts";
import { expectTensors, findWeights } from "./_state_dict.ts";
import { readStored, type Storage } from "./_stored_tensor.ts";
import { torchEnvironment } from "./_torch_globals.ts";
import { quote } from "../text/mod.ts";
import { zipOf } from "./_zip.ts";
import { WeightFileError } from "../resnet/mod.ts";

/** A pickle (protocol 2) of the number that every legacy file begins with. */
const LEGACY_SIGNATURE = [
  ...[0x80, 0x02, 0x8a, 0x0a],
  ...[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e],
];
const LEGACY_PROTOCOL = 1001;
const PICKLE = /(^|\/)data\.pkl$/;

/** What `torch.save` writes since version 1.6. */
export const pytorchZip: Format = {
  id: "pytorch-zip",
  title: "PyTorch's zip archive",
  leads: ["pytorch_model.bin"],
  recognises: ({ bytes }) => members(bytes).some((name) => PICKLE.test(name)),
  read: ({ bytes }) => decodePyTorch(bytes),
};

/** What `torch.save` wrote before. */
export const pytorchLegacy: Format = {
  id: "pytorch-legacy",
  title: "PyTorch's old file",
  recognises: ({ bytes }) => beginsWith(bytes, LEGACY_SIGNATURE),
  read: ({ bytes }) => decodePyTorch(bytes),
};

const members = (bytes: Uint8Array) => [...zipOf(bytes)?.members.keys() ?? []];

/**
 * Reads the weights in a file written by `torch.save` or `torch.jit.save`: a
 * state dict, a module, or a checkpoint that holds either, under `state_dict`,
 * `model`, `model_state_dict`, `net` or the only key with tensors.
 *
 * Memory stays below 512 MiB above the file's own size.
 *
 * @param bytes The whole file.
 * @returns Arrays as dense 32-bit floats, in the state dict's order, and what stands beside them.
 * @throws {WeightFileError} If the file is malformed, big-endian or too large,
 *   holds no weights, or the weights need anything but tensors; the message
 *   names what they need.
 *
 * @example The bytes of a program are no weights.
 * ```ts
 * import { decodePyTorch } from "./pytorch.ts";
 * import { WeightFileError } from "../resnet/mod.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => decodePyTorch(new TextEncoder().encode("#!/bin/sh")), WeightFileError);
 * ```
 */
export function decodePyTorch(bytes: Uint8Array): Contents {
  if (zipOf(bytes)) return decodeZip(bytes);
  if (beginsWith(bytes, LEGACY_SIGNATURE)) return decodeLegacy(bytes);
  throw new WeightFileError(
    "not a file of torch.save: it begins neither as a zip archive nor with PyTorch's magic number",
  );
}

function decodeZip(bytes: Uint8Array): Contents {
  const archive = zipOf(bytes)!;
  const pickles = [...archive.members.keys()].filter((name) => PICKLE.test(name));
  if (pickles.length !== 1) {
    throw new WeightFileError(
      `a zip archive of torch.save holds one data.pkl, this one holds ${pickles.length}`,
    );
  }
  const folder = pickles[0].slice(0, -"data.pkl".length);
  if (archive.members.has(`${folder}byteorder`)) {
    const order = new TextDecoder().decode(archive.read(`${folder}byteorder`));
    refuseBigEndian(order === "little");
  }
  const { value } = unpickle(archive.read(pickles[0]), 0, torchEnvironment());
  const contents = new Map<string, Uint8Array>();
  const script = archive.members.has(`${folder}constants.pkl`)
    ? ["TorchScript: the program in it is not read, only its weights"]
    : [];
  return contentsOf(value, script, ({ key, bytes: expected }) => {
    const content = contents.get(key) ?? archive.read(`${folder}data/${key}`);
    contents.set(key, content);
    if (content.length !== expected) {
      throw new WeightFileError(
        `storage ${quote(key)} must have ${expected} bytes, its record has ${content.length}`,
      );
    }
    return content;
  });
}

/** Magic number, protocol, system, object and storage keys are pickles; raw storages follow. */
function decodeLegacy(bytes: Uint8Array): Contents {
  const nothing = { globals: new Map(), persistent: refusePersistent };
  const protocol = unpickle(bytes, LEGACY_SIGNATURE.length, nothing);
  if (protocol.value !== LEGACY_PROTOCOL) {
    throw new WeightFileError(`PyTorch's old files have protocol ${LEGACY_PROTOCOL}, not this one`);
  }
  const system = unpickle(bytes, protocol.end, nothing);
  refuseBigEndian(system.value instanceof Map && system.value.get("little_endian") === true);

  const storages = new Map<string, Storage>();
  const object = unpickle(bytes, system.end, torchEnvironment(storages));
  const keys = unpickle(bytes, object.end, nothing);
  if (!Array.isArray(keys.value)) {
    throw new WeightFileError("the list of storages is missing; the file is cut off");
  }
  const contents = new Map<string, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let position = keys.end;
  for (const key of keys.value) {
    const storage = storages.get(key);
    if (!storage) throw new WeightFileError("a storage is listed that no tensor uses");
    const start = position + 8;
    const end = start + storage.bytes;
    if (end > bytes.length) {
      throw new WeightFileError(
        `storage ${
          quote(storage.key)
        } ends at byte ${end} of a file of ${bytes.length}; the file is cut off`,
      );
    }
    const elements = view.getBigInt64(position, true);
    if (elements !== BigInt(storage.elements)) {
      throw new WeightFileError(
        `storage ${
          quote(storage.key)
        } has ${elements} elements and its tensors expect ${storage.elements}`,
      );
    }
    contents.set(storage.key, bytes.subarray(start, end));
    position = end;
  }
  if (position !== bytes.length) {
    throw new WeightFileError(
      `${bytes.length - position} bytes follow the last storage; save one state dict alone`,
    );
  }
  return contentsOf(object.value, [], ({ key }) => {
    const content = contents.get(key);
    if (!content) throw new WeightFileError(`storage ${quote(key)} is missing from the file`);
    return content;
  });
}

function refuseBigEndian(littleEndian: boolean): void {
  if (!littleEndian) {
    throw new WeightFileError(
      "the file must state that it was written little-endian; load it in PyTorch and save it on a little-endian machine",
    );
  }
}

function refusePersistent(): never {
  throw new WeightFileError("a storage is referred to where none can be");
}

function contentsOf(
  value: unknown,
  notes: readonly string[],
  contentOf: (storage: Storage) => Uint8Array,
): Contents {
  const found = findWeights(value);
  expectTensors(found);
  const training = savedTraining(value);
  const further = found.further.map(({ path, tensors }) =>
    `${quote(path)} (${tensors.size} arrays)`
  );
  return {
    tensors: readStored(found.tensors, contentOf),
    ordered: true,
    ...(training ? { training } : {}),
    notes: [
      ...notes,
      ...(further.length > 0
        ? [
          `the file holds further weights under ${further.join(", ")}; those under ${
            quote(found.path)
          } are judged`,
        ]
        : []),
    ],
  };
}
