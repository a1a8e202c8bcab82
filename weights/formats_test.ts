import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { FILES } from "../testing/files/mod.ts";
import {
  architecture,
  countParameters,
  fitWeights,
  initialise,
  WeightFileError,
} from "../resnet/mod.ts";
import { encodeSafetensors } from "./safetensors.ts";
import type { FileSource, Format } from "./format.ts";
import { decodeModel, FORMATS } from "./formats.ts";
import { type FileAccess, readModelFile } from "./open.ts";
import { torchFile } from "./torch_file.ts";

const alone = (name: string, bytes: Uint8Array): FileSource => ({
  ...{ name, bytes },
  beside: (part) => Promise.reject(new WeightFileError(`there is no ${part}`)),
});

Deno.test("the form is told by the content, whatever the name", async () => {
  const formatOf = async (name: keyof typeof FILES) =>
    (await decodeModel(alone("model.bin", Uint8Array.fromBase64(FILES[name])))).format;
  assertEquals(await formatOf("safetensors"), "safetensors");
  assertEquals(await formatOf("pytorchZip"), "pytorch-zip");
  assertEquals(await formatOf("pytorchLegacyNested"), "pytorch-legacy");
});

Deno.test("a new format is a record in the list", async () => {
  const toy: Format = {
    id: "toy",
    title: "numbers as text",
    recognises: ({ name }) => name.endsWith(".toy"),
    read: ({ bytes }) => {
      const data = Float32Array.from(new TextDecoder().decode(bytes).split(" "), Number);
      return { tensors: new Map([["x", { shape: [data.length], data }]]), ordered: true };
    },
  };
  const source = alone("a.toy", new TextEncoder().encode("1 -2.5"));
  const file = await decodeModel(source, [...FORMATS, toy]);
  assertEquals([file.format, file.title, file.notes], ["toy", "numbers as text", []]);
  assertEquals([...file.tensors.get("x")!.data], [1, -2.5]);
  await assertRejects(() => decodeModel(source), WeightFileError, "none of the formats");
});

/** A net in miniature, and a folder with its arrays in two files. */
const NET = new Map([
  ["conv1.weight", { shape: [2, 3, 1, 1], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
  ["linear.weight", { shape: [1, 2], data: Float32Array.of(7, 8) }],
]);
const text = (value: string) => new TextEncoder().encode(value);
const SHARDS: Readonly<Record<string, Uint8Array>> = {
  "model-00001-of-00002.safetensors": encodeSafetensors(new Map([...NET].slice(0, 1))),
  "model-00002-of-00002.safetensors": encodeSafetensors(new Map([...NET].slice(1))),
  "model.safetensors.index.json": text(JSON.stringify({
    metadata: {},
    weight_map: {
      "conv1.weight": "model-00001-of-00002.safetensors",
      "linear.weight": "model-00002-of-00002.safetensors",
    },
  })),
};

/** Files by their paths. */
function inMemory(files: Readonly<Record<string, Uint8Array>>): FileAccess {
  const folders = new Set(Object.keys(files).map((path) => path.replace(/\/[^/]*$/, "")));
  const missing = (path: string) => new Deno.errors.NotFound(`no ${path}`);
  return {
    stat: (path) =>
      path in files
        ? Promise.resolve({ isDirectory: false, size: files[path].length })
        : folders.has(path)
        ? Promise.resolve({ isDirectory: true, size: 0 })
        : Promise.reject(missing(path)),
    read: (path) => path in files ? Promise.resolve(files[path]) : Promise.reject(missing(path)),
  };
}

const inFolder = (files: Readonly<Record<string, Uint8Array>>) =>
  inMemory(Object.fromEntries(Object.entries(files).map(([name, file]) => [`/m/${name}`, file])));

Deno.test("shards are read together: by their folder, their index, or any one of them", async () => {
  for (const path of ["/m", "/m/", ...Object.keys(SHARDS).map((name) => `/m/${name}`)]) {
    const { tensors, notes } = await readModelFile(path, inFolder(SHARDS));
    assertEquals([path, tensors], [path, NET]);
    assert(notes.some((note) => note.includes("2 shards")), notes.join());
  }
  const { "model-00002-of-00002.safetensors": _, ...rest } = SHARDS;
  for (const path of ["/m", "/m/model-00001-of-00002.safetensors"]) {
    await assertRejects(
      () => readModelFile(path, inFolder(rest)),
      WeightFileError,
      "model-00002-of-00002.safetensors",
    );
  }
});

Deno.test("no file may name what lies outside of its folder", async () => {
  for (
    const part of ["../secret", "/etc/passwd", "a/../../b", "C:\\x", "", "a//b", "./x", "a\0b"]
  ) {
    const index = text(JSON.stringify({ weight_map: { x: part } }));
    const error = await assertRejects(
      () =>
        readModelFile("/m/model.safetensors.index.json", {
          ...inFolder({ "model.safetensors.index.json": index }),
          read: (path) =>
            path.endsWith(".json") ? Promise.resolve(index) : Promise.reject(new Error("read")),
        }),
      WeightFileError,
    );
    assert(error.message.includes("below its own folder"), error.message);
  }
});

Deno.test("files of more bytes than are read are refused before they are", async () => {
  const access: FileAccess = {
    stat: () => Promise.resolve({ isDirectory: false, size: 2 ** 31 }),
    read: () => Promise.reject(new Error("read")),
  };
  const error = await assertRejects(() => readModelFile("/m/a.pt", access), WeightFileError);
  assert(error.message.includes("save the weights alone"), error.message);
});

Deno.test("of a model and its average one is taken, and which is said", async () => {
  const twice = (first: string, second: string) =>
    new Map(
      [first, second].flatMap((prefix) =>
        [...NET].map(([name, tensor]) => [`${prefix}.${name}`, tensor] as const)
      ),
    );
  for (const [first, second] of [["model", "ema"], ["ema_model", "model"], ["net", "swa.module"]]) {
    const bytes = encodeSafetensors(twice(first, second));
    const { tensors, notes } = await decodeModel(alone("w", bytes));
    const chosen = first === "ema_model" ? second : first;
    assertEquals([...tensors.keys()], [...NET.keys()].map((name) => `${chosen}.${name}`));
    assert(notes[0].includes("2 copies"), notes.join());
  }
  // Two halves of one net are no copies.
  const halves = new Map([...NET].map(([name, tensor], i) => [`${"ab"[i]}.${name}`, tensor]));
  assertEquals((await decodeModel(alone("w", encodeSafetensors(halves)))).tensors.size, 2);
});

Deno.test("of a student and its teacher the student is taken, wherever each stands", async () => {
  const arrays = (name: string, prefix = "") =>
    [...initialise(architecture(name), 1, "in")]
      .map(([name, tensor]) => [prefix + name, tensor] as const);
  const hint = [["hint.weight", { shape: [1, 1], data: Float32Array.of(1) }]] as const;
  const student = initialise(architecture("resnet8"), 1, "in");
  const files = [
    [...arrays("resnet14", "teacher."), ...arrays("resnet8", "student."), ...hint],
    [...arrays("resnet14", "model.teacher."), ...arrays("resnet8", "model.student.")],
    [...arrays("resnet14", "net_t."), ...arrays("resnet8", "net_s.")],
    [...arrays("resnet8"), ...arrays("resnet14", "teacher.")],
  ].map((arrays) => encodeSafetensors(new Map(arrays)));
  const dicts = torchFile({
    teacher: new Map(arrays("resnet14")),
    student: new Map(arrays("resnet8")),
  });
  for (const bytes of [...files, dicts]) {
    const { tensors, notes } = await decodeModel(alone("w", bytes));
    assertEquals(tensors.size, student.size);
    assertEquals([...tensors.values()], [...student.values()]);
    assert(/student|net_s|at the top/.test(notes[0]), notes.join());
  }
  // Without a word for either, none is chosen among dicts.
  const unnamed = torchFile({ a: new Map(arrays("resnet14")), b: new Map(arrays("resnet8")) });
  await assertRejects(() => decodeModel(alone("w", unnamed)), WeightFileError, "it has 2");
  // Dense layers within each stage make no networks of stages.
  const squeezed = [...arrays("resnet8")].flatMap(([name, tensor]) =>
    name.endsWith("bn2.bias")
      ? [[name, tensor], [name.replace("bn2.bias", "fc.weight"), hint[0][1]]] as const
      : [[name, tensor]] as const
  );
  const { tensors } = await decodeModel(alone("w", encodeSafetensors(new Map(squeezed))));
  assertEquals(tensors.size, squeezed.length);
});

Deno.test("a refusal names the file", async () => {
  for (const content of ["", "hello", "a text that is no file of weights", "PK\x03\x04"]) {
    const error = await assertRejects(
      () => decodeModel(alone("runs/a/model.bin", new TextEncoder().encode(content))),
      WeightFileError,
    );
    assert(error.message.startsWith("runs/a/model.bin: "), error.message);
  }
});

Deno.test("a network's weights survive a file", async () => {
  const graph = architecture("resnet20", { shortcut: "B" });
  const weights = initialise(graph, 1, "in");
  const { tensors, metadata } = await decodeModel(
    alone("w", encodeSafetensors(weights, { seed: "1" })),
  );
  assertEquals(fitWeights(graph, tensors, "w"), weights);
  assertEquals(metadata, { seed: "1" });
});

const PRETRAINED = new URL("../../shared/pretrained/", import.meta.url);

function isPresent(file: URL): boolean {
  try {
    return Deno.statSync(file).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      return false;
    }
    throw error;
  }
}

// Computed by PyTorch 2.13.0: torch.load(file, "cpu", weights_only=False), then
// the sum and the sum of squares over the 64-bit copies of all arrays of
// "state_dict", the first values of linear.bias and element 1000 of
// layer2.0.conv1.weight.
const CHECKPOINTS = [
  {
    file: "resnet20-12fca82f.th",
    name: "resnet20",
    arrays: 97,
    sum: 139.7826495598208,
    squares: 10987.817166808309,
    bias: [0.19355906546115875, -0.3431008756160736, 0.11120541393756866],
    element: -0.055274203419685364,
  },
  {
    file: "resnet32-d509ac18.th",
    name: "resnet32",
    arrays: 157,
    sum: 721.5178900284966,
    squares: 18430.39608765589,
    bias: [0.1762789636850357, -0.3966769874095917, 0.09322787821292877],
    element: -0.012151636183261871,
  },
];

for (const { file, name, arrays, sum, squares, bias, element } of CHECKPOINTS) {
  const url = new URL(file, PRETRAINED);
  Deno.test({
    name: `a checkpoint of PyTorch 0.4's time is read (needs ../shared/pretrained/${file})`,
    ignore: !isPresent(url),
    fn: async () => {
      const graph = architecture(name);
      const { tensors, format } = await decodeModel(alone(file, Deno.readFileSync(url)));
      assertEquals(format, "pytorch-legacy");
      assertEquals(tensors.size, arrays);
      const weights = fitWeights(graph, tensors, file);
      assertEquals(weights.size, arrays);

      const trainable = [...weights].filter(([name]) => !name.includes(".running_"));
      assertEquals(
        trainable.reduce((count, [, { data }]) => count + data.length, 0),
        countParameters(graph),
      );
      let actualSum = 0, actualSquares = 0;
      for (const { data } of weights.values()) {
        for (const value of data) {
          actualSum += value;
          actualSquares += value ** 2;
        }
      }
      // Exact values in another order of 64-bit addition.
      assertAlmostEquals(actualSum, sum, 1e-9);
      assertAlmostEquals(actualSquares, squares, 1e-7);
      assertEquals([...weights.get("linear.bias")!.data.slice(0, 3)], bias);
      assertEquals(weights.get("layer2.0.conv1.weight")!.data[1000], element);
    },
  });
}
