/** A run as a file that somebody takes away. */
import { EVENTS_FILE, parseRunLog, readFolder, RunError, type StartEvent } from "../../log/mod.ts";
import { renderRunReport } from "../../reports/run/mod.ts";
import { architecture, fitWeights, type Weights } from "../../resnet/mod.ts";
import { WEIGHTS_FILE, weightsOf } from "../../train/mod.ts";
import { decodeSafetensors, encodeOnnx, encodeSafetensors } from "../../weights/mod.ts";
import { disk } from "../../files/mod.ts";
import type { Form, Told } from "./messages.ts";
import { RUNS, type Shelf } from "./shelf.ts";

type Saved = Extract<Told, { type: "saved" }>;

/**
 * A run in one of its forms.
 *
 * @param shelf Where the run is.
 * @param asked Which run, in which form: the final weights, or those of its last checkpoint.
 * @throws {RunError} If the run has no weights yet.
 */
export async function saved(
  shelf: Shelf,
  { run, form }: { readonly run: string; readonly form: Form },
): Promise<Saved> {
  const path = `${RUNS}/${run}`;
  const named = (ending: string, media: string, content: Saved["content"]): Saved => ({
    ...{ type: "saved", name: `${run}.${ending}`, media, content },
  });
  if (form === "report") {
    return named("html", "text/html", renderRunReport(await readFolder(path, shelf.read)).html);
  }
  const log = new TextDecoder().decode(await shelf.read(`${path}/${EVENTS_FILE}`));
  if (form === "log") return named("events.jsonl", "application/jsonl", log);
  const { start, events } = parseRunLog(log);
  const file = events.some(({ type }) => type === "end")
    ? WEIGHTS_FILE
    : events.findLast((event) => event.type === "checkpoint")?.file.path;
  if (file === undefined) {
    throw new RunError(`"${run}" has no weights yet: its first checkpoint is still to come`);
  }
  const bytes = await shelf.read(`${path}/${file}`).catch((error) => {
    if (!disk.isMissing(error)) throw error;
    throw new RunError(`"${run}" has lost "${file}", which its log names; train it anew`);
  });
  const { tensors, metadata } = decodeSafetensors(bytes);
  const weights = weightsOf(tensors);
  if (form === "safetensors") {
    const whole = file === WEIGHTS_FILE ? bytes : encodeSafetensors(weights, metadata);
    return named("safetensors", "application/octet-stream", new Uint8Array(whole));
  }
  return named("onnx", "application/octet-stream", onnxOf(start, weights, file));
}

function onnxOf({ recipe, classes }: StartEvent, weights: Weights, file: string) {
  const { architecture: { name, shortcut, zeroChannels }, batchNorm: { epsilon } } = recipe;
  const graph = architecture(name, { shortcut, zeroChannels, classes: classes.length });
  return new Uint8Array(encodeOnnx(graph, fitWeights(graph, weights, file), { epsilon }));
}
