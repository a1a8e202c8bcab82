/** Weights that no training leaves as they are. */
import { quote } from "../text/mod.ts";
import type { Tensor, Weights } from "../resnet/mod.ts";
import type { Cause } from "./causes.ts";
import { type Layer, readLayers } from "./_layers.ts";

/** What is broken in a file's arrays, whatever net they are of. */
export function faultsOf(tensors: Weights): Cause[] {
  const bad = [...tensors].filter(([, { data }]) => !data.every(Number.isFinite));
  const { layers } = readLayers(tensors);
  const norms = layers.filter(({ kind, statistics: { running_mean, running_var } }) =>
    kind === "batch-norm" && running_mean && running_var
  );
  const still = norms.filter(({ statistics: { running_mean, running_var } }) =>
    constant(running_mean!, 0) && constant(running_var!, 1)
  );
  const counted = norms.filter(({ updates }) => updates !== undefined);
  const never = counted.length > 0 && counted.every(({ updates }) => updates === 0);
  // A channel that gives the same for every image has 0, and in half precision what is near it.
  const negative = norms.filter(({ statistics: { running_var } }) =>
    running_var!.data.some((value) => value < 0)
  );
  const flat = norms.filter(({ statistics: { running_var } }) => constant(running_var!, 0));
  const dead = layers.filter(({ kind, weight }) =>
    kind !== "batch-norm" && weight!.data.length > 1 && constant(weight!, weight!.data[0])
  );
  const silent = norms.filter(({ statistics: { weight, bias } }) =>
    weight && constant(weight, 0) && bias && bias.data.every((value) => value <= 0)
  );
  const causes: Cause[] = [];
  if (bad.length > 0) {
    const [name, { data }] = bad[0];
    const count = data.reduce((sum, value) => sum + (Number.isFinite(value) ? 0 : 1), 0);
    causes.push({
      id: "weights-not-finite",
      evidence: `${count} of ${data.length} values of ${quote(name)} are NaN or infinite${
        bad.length > 1 ? `, and so are values of ${bad.length - 1} more arrays` : ""
      }`,
    });
  }
  // Where nothing counts the updates, a net may never have been trained at all.
  if (still.length > 0 && (still.length < norms.length || counted.length > 0)) {
    causes.push({
      id: "statistics-never-moved",
      evidence:
        `${still.length} of ${norms.length} batch norms have means of 0 and variances of 1, as they start${
          never ? ": they were updated 0 times" : `: ${pathsOf(still)}`
        }`,
    });
  }
  if (negative.length + flat.length > 0) {
    causes.push({
      id: "zero-variance",
      evidence: negative.length > 0
        ? `the running variance of ${pathsOf(negative)} has values below 0`
        : `the running variance of ${pathsOf(flat)} is 0 in every channel`,
    });
  }
  // One array of zeros is dead; a file of zeros alone holds shapes.
  const weighted = layers.filter(({ weight }) => weight);
  if (dead.length + silent.length > 0 && dead.length < weighted.length) {
    causes.push({
      id: "dead-layer",
      evidence: dead.length > 0
        ? `all weights of ${pathsOf(dead)} are ${dead[0].weight!.data[0]}`
        : `batch norm ${
          pathsOf(silent)
        } scales by 0 and shifts by nothing above 0: the ReLU behind it gives 0`,
    });
  }
  return causes;
}

function constant({ data }: Tensor, value: number): boolean {
  return data.every((other) => other === value);
}

function pathsOf(layers: readonly Layer[]): string {
  return layers.slice(0, 3).map(({ path }) => path).join(", ") +
    (layers.length > 3 ? ` and ${layers.length - 3} more` : "");
}
