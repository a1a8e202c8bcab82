import { assertEquals } from "@std/assert";
import { fitted } from "./mod.ts";

Deno.test("lines are broken between words alone, and lose nothing", () => {
  const text = "error: reading /data/a_long_path_without_spaces/file.bin: it is  a folder\n\n  two";
  for (const columns of [1, 10, 24, 60, 200]) {
    const lines = fitted(text, columns);
    assertEquals(lines.split(/\s+/), text.split(/\s+/));
    for (const line of lines.split("\n")) {
      assertEquals(line.length <= columns || !line.trim().includes(" "), true, line);
    }
  }
});

Deno.test("commands stay whole, and so does everything where no terminal is", () => {
  const command = "  deno task audit runs/resnet20 --data cifar-10-batches-bin";
  assertEquals(fitted(command, 20), command);
  assertEquals(fitted("some words", undefined), "some words");
});
