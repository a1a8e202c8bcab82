/** Formats that are known and not read: each with the line that converts it. */
import { beginsWith, type FileSource, type Format, headText } from "./format.ts";
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
    ({ bytes }) => /^\s*<(!doctype html|html)/i.test(headText(bytes, 64)),
    "an HTML page, as a failed download leaves it",
    "download the file itself",
  ],
  [
    ({ bytes }) => beginsWith(bytes, [0x89, 0x48, 0x44, 0x46]),
    "an HDF5 file (Keras)",
    "export the model: python -c \"import keras; keras.models.load_model(FILE).export(OUT, format='onnx')\"",
  ],
  [
    ({ bytes }) => headText(bytes.subarray(4), 4) === "TFL3",
    "a TensorFlow Lite model",
    "give the model that it was made from",
  ],
  [
    ({ name }) => /\.onnx[._]data$/i.test(name),
    "the values of an ONNX file",
    "give the .onnx file beside it",
  ],
];

/** Every format that is known and not read. */
export const unread: Format = {
  id: "unread",
  title: "formats that are converted first",
  recognises: (source) => KNOWN.some(([recognises]) => recognises(source)),
  read: (source) => {
    const [, what, instead] = KNOWN.find(([recognises]) => recognises(source))!;
    throw new WeightFileError(`this is ${what}, which is not read: ${instead}`);
  },
};
