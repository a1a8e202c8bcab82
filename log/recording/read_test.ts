import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { linesOf, parseRecording, readRecording, RecordingError } from "./mod.ts";

const time = "2026-01-01T00:00:00Z";
const start = {
  ...{ type: "start", time, version: 1, recorder: { name: "pytorch", version: "1" } },
  ...{ framework: { name: "pytorch", version: "2" }, versions: {}, platform: "Linux" },
  ...{ command: [], devices: [], seed: "0" },
};
const batch = {
  ...{ type: "batch", time, iteration: 0, phase: "training", network: 1, images: 2 },
  ...{ mode: "training" },
};
const bytes = (...lines: readonly (object | string)[]) =>
  new TextEncoder().encode(
    lines.map((line) => typeof line === "string" ? line : JSON.stringify(line) + "\n").join(""),
  );

Deno.test("a torn last line and types of later recorders do not count, and are said", () => {
  const log = parseRecording(bytes(start, { type: "later", time }, batch, '{"type":"st'));
  assertEquals(log.lines.map(({ type }) => type), ["start", "batch"]);
  assertStringIncludes(log.notes.join(), "line 4) is cut off");
  assertStringIncludes(log.notes.join(), "later");
});

Deno.test("words of images are read, and those that were cut are as good as none", () => {
  const labels = new Uint8Array(Int32Array.of(3, 9).buffer).toBase64();
  const [whole, cut] = linesOf(
    parseRecording(bytes(start, { ...batch, labels }, { ...batch, labels: labels.slice(0, 7) }))
      .lines,
    "batch",
  );
  assertEquals(whole.labels, Int32Array.of(3, 9));
  assertEquals(cut.labels, undefined);
});

Deno.test("what breaks the format is refused with its line", () => {
  for (
    const [log, message] of [
      [bytes(batch, start), "line 1: a recording begins with its only start"],
      [bytes(start, start), "line 2: a recording begins with its only start"],
      [bytes(start, { ...batch, images: -1 }, batch), "line 2: images"],
      [bytes(start, "no JSON\n", batch), "line 2: expected JSON"],
      [bytes({ ...start, version: 2 }), "line 1: version"],
      [bytes(), "no complete line"],
    ] as const
  ) assertThrows(() => parseRecording(log), RecordingError, message);
});

Deno.test("a file outside of the folder can't be named, and one that is another does not count", async () => {
  const file = (path: string) => ({ path, sha256: "0".repeat(64), bytes: 3 });
  for (const path of ["../secret", "/etc/passwd", "a/b", ".hidden"]) {
    assertThrows(
      () => parseRecording(bytes(start, { ...batch, file: file(path) }, batch)),
      RecordingError,
      "file.path",
    );
  }
  const log = bytes(start, { ...batch, file: file("batches-0001.safetensors") });
  const recording = await readRecording(
    "r",
    (path) => Promise.resolve(path.endsWith("jsonl") ? log : bytes("abc")),
  );
  const [line] = linesOf(recording.lines, "batch");
  assertEquals(await recording.arrays(line.file!), undefined);
  assertStringIncludes(recording.notes.join(), "not the file that the log names");
});
