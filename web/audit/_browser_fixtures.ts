/** Thirty things that people may give the audit: right, wrong, unusual and hostile. */
import { architecture, initialise, type Weights } from "../../resnet/mod.ts";
import {
  arrayModel,
  FILES,
  modelFile,
  named,
  onnxNet,
  onnxNetBeside,
  PUBLISHED_NAMINGS,
  recordedLog,
  storedZip,
  torchFile,
} from "../../testing/files/mod.ts";
import { fixtureFolder, textOf } from "../../testing/runs/mod.ts";
import { encodeSafetensors, encodeTensorflowJs } from "../../weights/mod.ts";

/** What is given, and what of it is judged. */
export interface Thing {
  /** The path of what is judged. */
  readonly target: string;
  /** Files by path. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

const text = (content: string): Uint8Array => new TextEncoder().encode(content);
const single = (target: string, bytes: Uint8Array): Thing => ({
  target,
  files: new Map([[target, bytes]]),
});
const base64 = (content: string): Uint8Array => Uint8Array.fromBase64(content);

/** A checkpoint of PyTorch with the names of somebody's code. */
function checkpoint(weights: Weights, naming: string): Uint8Array {
  const theirs = PUBLISHED_NAMINGS.find(({ name }) => name === naming)!;
  return torchFile(new Map(named(weights, theirs)));
}

/** A folder with a run in it. */
async function run(folder: string, seed: number): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = await fixtureFolder({ iterations: 400, logEvery: 20, samples: false, seed });
  return new Map([...files].map(([name, bytes]) => [`${folder}/${name}`, bytes]));
}

/** A chunk that unpacks to far more than it is. */
async function bomb(): Promise<Uint8Array> {
  const zeros = new Blob([new Uint8Array(64 * 2 ** 20)]).stream()
    .pipeThrough(new CompressionStream("deflate-raw"));
  const packed = await new Response(zeros).bytes();
  const zip = storedZip([["data.pkl", packed]]);
  const view = new DataView(zip.buffer);
  const directory = zip.length - 22 - 46 - "data.pkl".length;
  // The method is DEFLATE, and the size is said to be a thousand times less than it is.
  for (const [at, offset] of [[0, 8], [directory, 10]]) {
    view.setUint16(at + offset, 8, true);
    view.setUint32(at + offset + 14, 65_536, true);
  }
  return zip;
}

/** Each by what it is. */
export async function things(): Promise<ReadonlyMap<string, Thing>> {
  const weights = initialise(architecture("resnet20"), 1, "in");
  const wide = initialise(architecture("resnet20", { shortcut: "B" }), 1, "in");
  const ours = encodeSafetensors(weights);
  const zeroed = new Map(weights);
  zeroed.set("linear.weight", { shape: [10, 64], data: new Float32Array(640).fill(NaN) });
  const log = recordedLog();
  const beside = onnxNetBeside({}, "net.onnx.data");
  const tfjs = encodeTensorflowJs(
    architecture("resnet8"),
    initialise(architecture("resnet8"), 1, "in"),
  );
  const first = await run("job/a", 1);
  const events = textOf(await fixtureFolder({ iterations: 400, samples: false }), "events.jsonl");
  return new Map<string, Thing>([
    // Right, as far as they tell.
    ["weights of ours", single("ours.safetensors", ours)],
    ["a checkpoint of PyTorch", single("resnet20.th", checkpoint(weights, "akamaster"))],
    ["a checkpoint by timm's names", single("timm.pth", checkpoint(weights, "timm"))],
    ["an ONNX file", single("net.onnx", onnxNet({ shortcut: "split" }))],
    ["one with its norms folded", single("folded.onnx", onnxNet({ folded: true }))],
    ["one with its arrays beside it", {
      target: "net.onnx",
      files: new Map([["net.onnx", beside.file], ["net.onnx.data", beside.data]]),
    }],
    ["a model of Keras", single("net.keras", await arrayModel("kerasOptionA"))],
    ["a run", { target: "run", files: await run("run", 3) }],
    ["a folder of runs", {
      target: "job",
      files: new Map([...first, ...await run("job/b", 2)]),
    }],
    ["a recording", { target: "rec", files: new Map([["rec/recording.jsonl", log]]) }],
    // Wrong.
    ["option B", single("wide.safetensors", encodeSafetensors(wide))],
    ["a weight that is no number", single("nan.safetensors", encodeSafetensors(zeroed))],
    ["ImageNet's stem", single("stem.onnx", await modelFile("imagenetStem"))],
    ["a ReLU behind the last layer", single("relu.onnx", await modelFile("finalRelu"))],
    ["no ReLU behind the additions", single("linear.onnx", onnxNet({ linearSums: () => true }))],
    ["no batch norm", single("bare.onnx", await modelFile("noBatchNorm"))],
    // Unusual.
    ["the old files of Keras", single("net.h5", await arrayModel("kerasOptionALegacy"))],
    ["nested models of Keras", single("nested.keras", await arrayModel("kerasNested"))],
    ["a model of Flax", single("net.msgpack", await arrayModel("flaxVariables"))],
    ["arrays of NumPy", single("net.npz", await arrayModel("flaxNpz"))],
    ["a deflated checkpoint", single("deflated.pth", base64(FILES.pytorchZipDeflated))],
    ["PyTorch's old format", single("legacy.pth", base64(FILES.pytorchLegacyNested))],
    ["bottlenecks before their norms", single("pre.onnx", await modelFile("preActivation"))],
    ["a model of TensorFlow.js", {
      target: "tfjs",
      files: new Map([...tfjs].map(([name, bytes]) => [`tfjs/${name}`, bytes])),
    }],
    // Hostile.
    ["a file that is cut off", single("cut.safetensors", ours.subarray(0, ours.length / 2))],
    ["nothing at all", single("empty.pth", new Uint8Array(0))],
    ["a text", single("notes.pth", text("lr 0.1, then 0.01\n"))],
    ["a member that unpacks to more than it says", single("bomb.pth", await bomb())],
    ["a recording that names files elsewhere", {
      target: "far",
      files: new Map([[
        "far/recording.jsonl",
        text(new TextDecoder().decode(log).replaceAll(/"path":"[^"]*"/g, '"path":"../../etc/x"')),
      ]]),
    }],
    ["a log that was altered", {
      target: "altered",
      files: new Map([["altered/events.jsonl", text(events.replace('"seed":7', '"seed":8'))]]),
    }],
  ]);
}
