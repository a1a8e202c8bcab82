// Small files that ask for much: each is read or refused within what a file may cost.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { withinBounds } from "../testing/mod.ts";
import { logSubjectOf, RunLogError } from "../log/mod.ts";
import {
  architecture,
  ArchitectureError,
  sizeOf,
  type Tensor,
  WeightFileError,
} from "../resnet/mod.ts";
import { decodeModel, encodeSafetensors } from "../weights/mod.ts";
import { audit } from "./audit.ts";
import { fileSubject, runSubject } from "./targets.ts";
import { isThere } from "../testing/files/mod.ts";

/** One message by its field numbers, as onnx.proto has them. */
function message(fields: readonly (readonly [number, number | string | Uint8Array])[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === "number") writer.tag(number, WireType.Varint).int64(value);
    else if (typeof value === "string") writer.tag(number, WireType.LengthDelimited).string(value);
    else writer.tag(number, WireType.LengthDelimited).bytes(value);
  }
  return writer.finish();
}

function floats(name: string, shape: readonly number[], values: readonly number[]): Uint8Array {
  const raw = new Uint8Array(Float32Array.from(values).buffer);
  return message([...shape.map((extent) => [1, extent] as const), [2, 1], [8, name], [9, raw]]);
}

function node(operator: string, inputs: readonly string[], output: string): Uint8Array {
  return message([...inputs.map((input) => [1, input] as const), [2, output], [4, operator]]);
}

/** A file with the image x, [1, 3, 32, 32]. */
function onnx(
  nodes: readonly Uint8Array[],
  tensors: readonly Uint8Array[],
  outputs: readonly string[] = ["y"],
): Uint8Array {
  const extents = message([1, 3, 32, 32].map((extent) => [1, message([[1, extent]])]));
  const image = message([[1, "x"], [2, message([[1, message([[1, 1], [2, extents]])]])]]);
  return message([[1, 8], [
    7,
    message([
      ...nodes.map((node) => [1, node] as const),
      ...tensors.map((tensor) => [5, tensor] as const),
      [11, image],
      ...outputs.map((output) => [12, message([[1, output]])] as const),
    ]),
  ], [8, message([[2, 13]])]]);
}

async function auditOf(bytes: Uint8Array): Promise<unknown> {
  const beside = () => Promise.reject(new WeightFileError("nothing lies beside it"));
  try {
    return await audit(fileSubject("file", await decodeModel({ name: "file", bytes, beside })));
  } catch (error) {
    // Refused is as good as read.
    if (!(error instanceof WeightFileError)) throw error;
  }
}

const many = <T>(count: number, make: (i: number) => T) =>
  Array.from({ length: count }, (_, i) => make(i));
type Named = readonly [string, Tensor];
const array = (...shape: number[]): Tensor => ({ shape, data: new Float32Array(sizeOf(shape)) });
const SHAPED = floats("s", [1], [0]);
const KERNEL = floats("k", [3, 3, 1, 1], many(9, () => 1));

/** Files as they were made against the readers, and others of their kinds. */
const FILES: Readonly<Record<string, () => Uint8Array>> = {
  "a slice in steps of 1e-30": () =>
    onnx([node("Slice", ["d", "a", "b", "c", "e"], "y")], [
      floats("d", [2], [0, 1]),
      floats("a", [1], [0]),
      floats("b", [1], [2]),
      floats("c", [1], [0]),
      floats("e", [1], [1e-30]),
    ]),
  "a slice in steps of a quarter": () =>
    onnx([node("Slice", ["d", "a", "b", "c", "e"], "y")], [
      floats("d", [2], [0, 1]),
      floats("a", [1], [0]),
      floats("b", [1], [1e9]),
      floats("c", [1], [0]),
      floats("e", [1], [0.25]),
    ]),
  "a chain of 20,000 axes": () =>
    onnx(
      many(19_999, (i) => node("Unsqueeze", [i === 0 ? "s" : `v${i - 1}`, "s"], `v${i}`)),
      [SHAPED],
    ),
  "one constant joined to itself 100,000 times": () =>
    onnx([node("Concat", many(100_000, () => "d"), "y")], [
      floats("d", [65_536], many(65_536, () => 0)),
    ]),
  "sums that double each other": () =>
    onnx(
      many(400, (i) =>
        node("Add", [i === 0 ? "d" : `v${i - 1}`, i === 0 ? "d" : `v${i - 1}`], `v${i}`)),
      [floats(
        "d",
        [65_536],
        many(65_536, () =>
          1),
      )],
    ),
  "inputs joined to themselves behind a change of each pixel": () =>
    onnx([
      node("Add", ["x", "d"], "a"),
      node("Concat", many(20_000, () => "a"), "y"),
    ], [floats("d", [3, 32, 32], many(3072, (i) => i))]),
  "additions that share a long way": () =>
    onnx(
      [
        ...many(9_000, (i) => node("Relu", [i === 0 ? "x" : `r${i - 1}`], `r${i}`)),
        ...many(9_000, (i) => node("Relu", [i === 0 ? "x" : `q${i - 1}`], `q${i}`)),
        ...many(1_900, (i) => node("Add", ["r8999", "q8999"], `a${i}`)),
      ],
      [],
      ["a0"],
    ),
  "20,000 outputs": () =>
    onnx(
      many(19_999, (i) => node("Relu", ["x"], `r${i}`)),
      [],
      many(20_000, (i) => `r${i % 19_999}`),
    ),
  "19,000 convolutions with one kernel": () =>
    onnx(many(19_000, (i) => node("Conv", [i === 0 ? "x" : `v${i - 1}`, "k"], `v${i}`)), [KERNEL], [
      "v18999",
    ]),
  "a header of 14 MB": () => {
    const entry = (i: number) => `"${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`;
    const json = new TextEncoder().encode(`{${many(270_000, entry).join(",")}}`);
    const bytes = new Uint8Array(8 + json.length);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(json, 8);
    return bytes;
  },
  "9,991 small kernels": () =>
    encodeSafetensors(
      new Map([
        ...many(9_990, (i): Named => [`l${i}.weight`, array(1, 1, 1, 1)]),
        ["fc.weight", array(1, 1)],
      ]),
    ),
  "6,001 kernels that chain": () =>
    encodeSafetensors(
      new Map([
        ...many(6_000, (i): Named => [`l${i}.weight`, array(2, i === 0 ? 1 : 2, 1, 1)]),
        ["fc.weight", array(1, 2)],
      ]),
    ),
  "9,000 arrays of norms and kernels": () =>
    encodeSafetensors(
      new Map(
        many(3_000, (i) => `l${i}`).flatMap((name): Named[] => [
          [`${name}.weight`, array(1, 1, 3, 3)],
          [`${name}.bn.weight`, array(1)],
          [`${name}.bn.bias`, array(1)],
        ]),
      ),
    ),
  "models within models within models": () => {
    const layers = many(200, (i) => ({ class_name: "Flatten", config: { name: `f${i}` } }));
    const nest = (depth: number): unknown => ({
      class_name: "Sequential",
      config: {
        name: `m${depth}`,
        layers: depth === 0 ? layers : many(12, () => nest(depth - 1)),
      },
    });
    return new TextEncoder().encode(
      JSON.stringify({ format: "layers-model", modelTopology: nest(3), weightsManifest: [] }),
    );
  },
};

for (const [name, make] of Object.entries(FILES)) {
  Deno.test(`${name}: within 5 seconds and 512 MiB`, async () => {
    const bytes = make();
    assert(bytes.length < 20 * 2 ** 20, `${bytes.length}`);
    await withinBounds(name, () => auditOf(bytes));
  });
}

const GIVEN = new URL("../../shared/cases/reliability/", import.meta.url);

for (
  const file of [
    ...["concat_bomb.onnx", "esc_names.onnx", "slice_step.onnx", "st_esc.safetensors"],
    "unsqueeze_chain.onnx",
  ]
) {
  const url = new URL(file, GIVEN);
  Deno.test({
    name: `${file}: within the bounds (needs ../shared/cases/reliability/${file})`,
    ignore: !isThere(url),
    fn: async () => {
      const bytes = await Deno.readFile(url);
      await withinBounds(file, () => auditOf(bytes));
    },
  });
}

const REFERENCE = new URL(
  "../reports/reference/resnet20-4000/runs/resnet20-seed0/events.jsonl",
  import.meta.url,
);

type Line = Record<string, unknown>;

/** A log of the reference run's start and other lines. */
async function logOf(
  lines: (step: Line, start: Line) => readonly Line[],
  change: (start: Line) => void = () => {},
): Promise<string> {
  const events: Line[] = (await Deno.readTextFile(REFERENCE)).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  const [start] = events;
  change(start);
  const step = events.find(({ type }) => type === "step")!;
  return [start, ...lines(step, start)].map((line) => JSON.stringify(line) + "\n").join("");
}

async function subjectOf(text: string) {
  const bytes = new TextEncoder().encode(text);
  const missing = () => Promise.reject(new Deno.errors.NotFound("no such file"));
  return await logSubjectOf(
    "run",
    (path) => path.endsWith("events.jsonl") ? Promise.resolve(bytes) : missing(),
  );
}

const STEPS = 64_000;
const LOGS: Readonly<Record<string, (step: Line, start: Line) => readonly Line[]>> = {
  "64,000 steps, each logged": (step) =>
    many(STEPS, (i) => ({ ...step, iteration: i + 1, steps: 1 })),
  "64,000 rates": ({ time }) =>
    many(STEPS, (i) => ({ time, type: "rate", iteration: i + 1, learningRate: i % 2 + 0.5 })),
  "100,000 warnings": ({ time }) =>
    many(100_000, () => ({ time, type: "warning", iteration: 0, message: "w".repeat(50) })),
  "50,000 resumes": ({ time }, { engine }) =>
    many(50_000, () => ({
      ...{ time, type: "resume", iteration: 0, engine, versions: {}, revision: null, command: [] },
    })),
};

for (const [name, lines] of Object.entries(LOGS)) {
  Deno.test(`a log of ${name}: judged within 5 seconds and 512 MiB`, async () => {
    const text = await logOf(lines);
    const subject = await withinBounds(name, async () => {
      const subject = runSubject("run", await subjectOf(text));
      await audit(subject);
      return subject;
    });
    assert(subject.log!.events!.length > 1);
  });
}

Deno.test("logs that no run writes are refused before they cost anything", async () => {
  const refused = async (text: string) =>
    await withinBounds("a log", () => assertRejects(() => subjectOf(text), RunLogError));
  const named = (name: string) =>
  (
    start: Line,
  ) => ((start.recipe as { architecture: Line }).architecture.name = name);
  await refused(await logOf(() => [], named("resnet9998")));
  await refused(await logOf(() => [], (start) => start.classes = many(12_000, String)));
  await refused((await logOf(() => [])) + "\n".repeat(30_000_000));
  await refused(" ".repeat(70 * 2 ** 20));
});

Deno.test("the deepest net that has a name is built and judged in time", async () => {
  await withinBounds("resnet1202", () =>
    audit({
      ...{ target: "deep", form: "an architecture" },
      candidates: [{ name: "deep", graph: architecture("resnet1202"), assumptions: [] }],
    }));
  let error: unknown;
  try {
    architecture("resnet999998");
  } catch (thrown) {
    error = thrown;
  }
  assertEquals(error instanceof ArchitectureError, true);
});
