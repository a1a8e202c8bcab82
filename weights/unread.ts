/** Formats that are known and not read: each with the line that converts it. */
import { beginsWith, type FileSource, type Format, headText } from "./format.ts";
import { jsonOf } from "./_json.ts";
import { zipOf } from "./_zip.ts";
import { WeightFileError } from "../resnet/mod.ts";

/** How each is recognised, what it is, and what to do. */
const KNOWN: readonly (readonly [
  recognises: (source: FileSource) => boolean,
  what: string,
  instead: string,
])[] = [
  [({ bytes }) => bytes.length === 0, "an empty file", "get the file again"],
  [
    ({ bytes }) => headText(bytes, 40).startsWith("version https://git-lfs."),
    "a git-LFS pointer, not the file that it stands for",
    "run git lfs pull in its repository",
  ],
  [
    ({ bytes }) => /^\s*<(!doctype html|html|head|body)/i.test(headText(bytes, 64)),
    "an HTML page, as a failed download leaves it",
    "download the file itself",
  ],
  [
    // Version 1 of the schema, then the graphs; ONNX begins with version 3 or later.
    ({ bytes }) => beginsWith(bytes, [0x08, 0x01, 0x12]),
    "a SavedModel of TensorFlow",
    "python -m tf2onnx.convert --saved-model FOLDER --output OUT",
  ],
  [
    ({ bytes }) => headText(bytes.subarray(4), 4) === "TFL3",
    "a TensorFlow Lite model",
    "give the model that it was made from, or python -m tf2onnx.convert --tflite FILE --output OUT",
  ],
  [
    ({ bytes }) => beginsWith(bytes.subarray(-8), [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb]),
    "the index of a TensorFlow checkpoint",
    'python -c "import tensorflow as tf, numpy as np; r = tf.train.load_checkpoint(PREFIX); np.savez(OUT, **{n: r.get_tensor(n) for n in r.get_variable_to_shape_map()})"',
  ],
  [
    ({ name }) => /\.data-\d{5}-of-\d{5}$/.test(name),
    "the values of a TensorFlow checkpoint",
    'python -c "import tensorflow as tf, numpy as np; r = tf.train.load_checkpoint(PREFIX); np.savez(OUT, **{n: r.get_tensor(n) for n in r.get_variable_to_shape_map()})"',
  ],
  [
    (source) => hasMember(source, /(^|\/)(serialized_exported_program\.json|models\/model\.json)$/),
    "a program of torch.export (.pt2)",
    'python -c "import torch; torch.save(torch.export.load(FILE).state_dict, OUT)"',
  ],
  [
    ({ bytes }) => beginsWith(bytes, [0x12, 0x01, 0, 0, 0, 0, 0, 0]),
    "MXNet's file of parameters (.params)",
    'python -c "import mxnet as mx, numpy as np; np.savez(OUT, **{k: v.asnumpy() for k, v in mx.nd.load(FILE).items()})"',
  ],
  [
    ({ bytes }) =>
      bytes[0] === 0x80 && bytes[1] >= 2 && bytes[1] <= 5 && bytes.at(-1) === ".".charCodeAt(0),
    "a Python pickle that is not PyTorch's (Paddle's .pdparams, a dict of arrays)",
    "python -c \"import pickle, numpy as np; np.savez(OUT, **pickle.load(open(FILE, 'rb')))\", if you trust it",
  ],
  [
    ({ name }) => /\.onnx[._]data$/i.test(name),
    "the values of an ONNX file",
    "give the .onnx file beside it",
  ],
  [
    ({ bytes, name }) => /\.bin$/.test(name) && /shard\d+of\d+/.test(name) && bytes.length > 0,
    "a shard of a TensorFlow.js model",
    "give the model.json beside it",
  ],
  [
    ({ bytes }) => "class_name" in (jsonOf(bytes) ?? {}),
    "a Keras model's description without its weights",
    "give the file of its weights",
  ],
  [
    ({ bytes }) => beginsWith(bytes, [0x1f, 0x8b]),
    "a gzip archive",
    "unpack it: gunzip FILE, or tar xzf FILE",
  ],
];

function hasMember({ bytes }: FileSource, pattern: RegExp): boolean {
  return zipOf(bytes)?.members.keys().some((name) => pattern.test(name)) ?? false;
}

/** Every format that is known and not read. */
export const unread: Format = {
  id: "unread",
  title: "formats that are converted first",
  leads: ["saved_model.pb"],
  recognises: (source) => KNOWN.some(([recognises]) => recognises(source)),
  read: (source) => {
    const [, what, instead] = KNOWN.find(([recognises]) => recognises(source))!;
    throw new WeightFileError(`this is ${what}, which is not read: ${instead}`);
  },
};
