import { assertEquals } from "@std/assert";
import type { Run } from "../log/mod.ts";
import { tensorboardEvents } from "./tensorboard.ts";

// By tensorboard.summary.writer.record_writer.RecordWriter of TensorBoard 2.21.0.
const EVENTS =
  "GAAAAAAAAACjf0siCQAAAEBuVdpBGg1icmFpbi5FdmVudDoyw0ht/GQAAAAAAAAAQ18c3wkAAGBAblXaQRBkKlcKEQoKbG9zcy90cmFpbhUAABBAChIKC2Vycm9yL3RyYWluFQAAQD8KFAoNbGVhcm5pbmdfcmF0ZRXNzMw9ChgKEWltYWdlc19wZXJfc2Vjb25kFQAAIESRK/A9MgAAAAAAAAAkGVbsCQAAgEBuVdpBEGQqJQoQCglsb3NzL3Rlc3QVAAAgQAoRCgplcnJvci90ZXN0Fc3MTD/fCBHW";

Deno.test("events are those that TensorBoard's own writer writes, byte for byte", () => {
  const at = (second: number, millisecond = 0) =>
    new Date(Date.UTC(2026, 0, 1, 0, 0, second, millisecond)).toISOString();
  const run = {
    start: { time: at(0) },
    steps: [{
      ...{ type: "step", time: at(1, 500), iteration: 100, steps: 100, images: 12800 },
      ...{ learningRate: 0.1, loss: 2.25, error: 0.75, imagesPerSecond: 640 },
    }],
    evaluations: [{
      ...{ type: "evaluation", time: at(2), iteration: 100, set: "test", images: 10, errors: 8 },
      ...{ loss: 2.5, error: 0.8 },
    }],
  } as unknown as Pick<Run, "start" | "steps" | "evaluations">;
  assertEquals(tensorboardEvents(run).toBase64(), EVENTS);
});

Deno.test("the top-5 error has a curve of its own where the log has it", () => {
  const time = "2026-01-01T00:00:00Z";
  const evaluation = {
    ...{ type: "evaluation", time, iteration: 9, set: "validation", images: 8, errors: 4 },
    ...{ loss: 2, error: 0.5 },
  };
  const tags = (evaluation: object) => {
    const run = { start: { time }, steps: [], evaluations: [evaluation] };
    const events = tensorboardEvents(
      run as unknown as Pick<Run, "start" | "steps" | "evaluations">,
    );
    return new TextDecoder().decode(events).match(/[a-z_\d]+\/validation/g);
  };
  assertEquals(tags(evaluation), ["loss/validation", "error/validation"]);
  assertEquals(tags({ ...evaluation, errors5: 1, error5: 0.125 }), [
    ...["loss/validation", "error/validation", "error_top5/validation"],
  ]);
});
