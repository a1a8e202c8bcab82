// The paper's nets under the names of others: none is accused, and nearly all are named.
import { assert, assertEquals } from "@std/assert";
import { RandomStream } from "../random/mod.ts";
import { architecture, initialise, type Weights } from "../resnet/mod.ts";
import { generatedNaming, named, type Naming, PUBLISHED_NAMINGS } from "../testing/files/mod.ts";
import { identify } from "./identify.ts";

const NETS = new Map(
  ["resnet20", "resnet32", "resnet110"]
    .map((name) => [name, initialise(architecture(name), 1, "in")]),
);

/** What is made of a net under other names: its name, what it is accused of, or nothing. */
function outcome(net: string, naming: Naming, weights: Weights = NETS.get(net)!): string {
  // Formats that sort say that they do.
  const { candidates, findings, notes } = identify(
    named(weights, naming),
    naming.order !== "alphabet",
  );
  if (findings.length > 0) return findings.map(({ id, evidence }) => `${id}: ${evidence}`).join();
  const [candidate] = candidates;
  if (candidate === undefined) return "unknown";
  const places = [...weights].every(([name, { data }]) => {
    const found = candidate.weights.get(name)!.data;
    return data.every((value, i) => value === found[i]);
  });
  // Among layers of one shape an order that nothing tells is said not to be known.
  return places || notes.some((note) => note.includes("it is not known"))
    ? candidate.graph.name
    : `${candidate.graph.name} with its layers in another order`;
}

for (const naming of PUBLISHED_NAMINGS) {
  Deno.test(`names of ${naming.name}: the paper's nets are named`, () => {
    for (const net of ["resnet20", "resnet110"]) assertEquals(outcome(net, naming), net);
  });
}

Deno.test("under any published names shortcuts with a convolution are found", () => {
  const weights = initialise(architecture("resnet20", { shortcut: "B" }), 1, "in");
  for (const naming of PUBLISHED_NAMINGS) {
    const { findings, census } = identify(named(weights, naming), naming.order !== "alphabet");
    assertEquals([naming.name, findings.map(({ id }) => id), census.projections], [
      naming.name,
      ["projection"],
      2,
    ]);
  }
});

/** So many namings, the same each time. */
function namings(count: number): readonly Naming[] {
  const random = new RandomStream(7, "probe", 0);
  return Array.from({ length: count }, () => generatedNaming((bound) => random.below(bound)));
}

Deno.test("200 generated namings: no right net is accused, at least 95% are named", () => {
  const others: string[] = [];
  namings(200).forEach((naming, i) => {
    const net = ["resnet20", "resnet20", "resnet32"][i % 3];
    const found = outcome(net, naming);
    if (found !== net) others.push(`${naming.name}: ${found}`);
  });
  assertEquals(others.filter((text) => !text.endsWith(": unknown")), []);
  assert(others.length <= 10, others.join("\n"));
});

Deno.test("under any names a net that lacks a block is not taken for the paper's", () => {
  const whole = NETS.get("resnet20")!;
  const lacking = new Map([...whole].filter(([name]) => !name.startsWith("layer2.2.")));
  for (const naming of namings(30)) {
    const found = identify(named(lacking, naming), naming.order !== "alphabet").findings;
    assertEquals([naming.name, found.map(({ id }) => id)], [
      naming.name,
      ["blocks-per-stage", "depth"],
    ]);
  }
});
