/**
 * The curves of a run as an event file of TensorBoard.
 *
 * Source: tensorflow/core/lib/io/record_writer.cc (records), tensorflow/core/util/event.proto and
 * framework/summary.proto (fields), lib/hash/crc32c.h (the mask) of TensorFlow 2.21, Apache-2.0.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Run } from "../log/mod.ts";

/**
 * Losses, errors and rates of a run, by iteration and time: `loss/train`, `error/train`,
 * `learning_rate`, `images_per_second`, and `loss/SET` and `error/SET` of each evaluated set, with
 * `error_top5/SET` where the log has the top-5 error.
 * Errors are shares, 0 to 1.
 *
 * @param run As `readRun` gives it.
 * @returns The content of a file whose name has to contain `tfevents`.
 *
 * @example
 * ```ts
 * import type { Run } from "../log/mod.ts";
 * import { tensorboardEvents } from "./tensorboard.ts";
 *
 * const write = (run: Run) => Deno.writeFile("logs/events.out.tfevents.0.run", tensorboardEvents(run));
 * console.log(write);
 * ```
 */
export function tensorboardEvents(
  { start, steps, evaluations }: Pick<Run, "start" | "steps" | "evaluations">,
): Uint8Array {
  const rows = [
    ...steps.map(({ time, iteration, loss, error, learningRate, imagesPerSecond }) => ({
      ...{ time, iteration },
      values: {
        "loss/train": loss,
        "error/train": error,
        "learning_rate": learningRate,
        "images_per_second": imagesPerSecond,
      },
    })),
    ...evaluations.map(({ time, iteration, set, loss, error, error5 }) => ({
      ...{ time, iteration },
      values: {
        ...{ [`loss/${set}`]: loss, [`error/${set}`]: error },
        ...(error5 === undefined ? {} : { [`error_top5/${set}`]: error5 }),
      },
    })),
  ].toSorted((a, b) => a.iteration - b.iteration);
  const version = event(start.time, 0);
  version.tag(3, WireType.LengthDelimited).string("brain.Event:2");
  return joined([
    record(version.finish()),
    ...rows.map(({ time, iteration, values }) => {
      const writer = event(time, iteration);
      writer.tag(5, WireType.LengthDelimited).fork();
      for (const [tag, value] of Object.entries(values)) {
        writer.tag(1, WireType.LengthDelimited).fork();
        writer.tag(1, WireType.LengthDelimited).string(tag);
        writer.tag(2, WireType.Bit32).float(value);
        writer.join();
      }
      writer.join();
      return record(writer.finish());
    }),
  ]);
}

/** An event with its time and step. */
function event(time: string, iteration: number): BinaryWriter {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.Bit64).double(Date.parse(time) / 1000);
  if (iteration !== 0) writer.tag(2, WireType.Varint).int64(iteration);
  return writer;
}

/** Length, its checksum, content, its checksum. */
function record(content: Uint8Array): Uint8Array {
  const length = new Uint8Array(BigUint64Array.of(BigInt(content.length)).buffer);
  return joined([length, checksum(length), content, checksum(content)]);
}

/** CRC-32C, rotated and shifted, so that a checksum of checksums is not their own. */
function checksum(content: Uint8Array): Uint8Array {
  const crc = crc32c(content);
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  return new Uint8Array(Uint32Array.of(masked).buffer);
}

const CASTAGNOLI = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** The checksum of iSCSI; Node has the one of zip alone. */
function crc32c(content: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of content) crc = (crc >>> 8) ^ CASTAGNOLI[(crc ^ byte) & 0xff];
  return ~crc >>> 0;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
