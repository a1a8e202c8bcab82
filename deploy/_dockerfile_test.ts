import { assertEquals, assertThrows } from "@std/assert";
import { assignments, parseDockerfile, substitute } from "./_dockerfile.ts";

Deno.test("a Dockerfile is read as stages, with continued lines joined", () => {
  const { args, stages } = parseDockerfile(`# a comment
ARG BASE=debian:x-slim

FROM \${BASE} AS first
RUN one \\
    # between
    && two
from $BASE
COPY --from=first /a /b
`);
  assertEquals(args, { BASE: "debian:x-slim" });
  assertEquals(stages, [
    {
      base: "${BASE}",
      name: "first",
      instructions: [{ name: "RUN", text: "one && two", line: 5 }],
    },
    { base: "$BASE", instructions: [{ name: "COPY", text: "--from=first /a /b", line: 9 }] },
  ]);
});

Deno.test("what is no Dockerfile is refused with its line", () => {
  assertThrows(() => parseDockerfile("\nRUN x"), SyntaxError, "line 2: expected FROM or ARG");
  assertThrows(() => parseDockerfile("FROM a\n!"), SyntaxError, "line 2: expected an instruction");
  assertThrows(() => parseDockerfile("FROM a b c"), SyntaxError, "line 1: expected an image");
  assertThrows(() => parseDockerfile("FROM a\nRUN x \\\n"), SyntaxError, "line 2");
});

Deno.test("assignments are bare, quoted, or without a value", () => {
  assertEquals(assignments('A=1 B="two words" C D=""'), { A: "1", B: "two words", C: "", D: "" });
});

Deno.test("names are replaced by their values, and unknown ones refused", () => {
  assertEquals(substitute("$A/${A}b", { A: "x" }), "x/xb");
  assertThrows(() => substitute("$A", {}), ReferenceError, "A");
});
