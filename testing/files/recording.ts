/** What a recorder left of a training of 12 steps, shortened: lines of every type but `warning`. */
import recording from "./recording.jsonl" with { type: "text" };

/**
 * A recording's log as recorders/pytorch.py wrote it: ResNet-8 by a plain loop,
 * under PyTorch 2.13. Labels, hashes and files are left out, and most batches.
 *
 * @returns The content of `recording.jsonl`.
 */
export function recordedLog(): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(recording);
}
