// What the project relies on of @std/cli; the same tests hold for the package itself.
import { assertEquals } from "@std/assert";
import { parseArgs } from "@std/cli";

Deno.test("@std/cli: text stays text, numbers of other flags become numbers", () => {
  const args = parseArgs(["--seed", "007", "--n=5", "file", "3"], { string: ["seed"] });
  assertEquals<unknown>(args, { seed: "007", n: 5, _: ["file", 3] });
});

Deno.test("@std/cli: a boolean flag takes no value and is false by default", () => {
  const args = parseArgs(["--json", "file"], { boolean: ["json", "help"] });
  assertEquals<unknown>(args, { json: true, help: false, _: ["file"] });
});

Deno.test("@std/cli: the last of a repeated flag counts, unless it collects", () => {
  const options = { string: ["a", "b"], collect: ["b"] } as const;
  assertEquals<unknown>(parseArgs(["--a=1", "--a=2", "--b=1", "--b=2"], options), {
    a: "2",
    b: ["1", "2"],
    _: [],
  });
  assertEquals<unknown>(parseArgs(["--b=1"], options), { b: ["1"], _: [] });
  assertEquals<unknown>(parseArgs([], options), { b: [], _: [] });
});

Deno.test("@std/cli: defaults and aliases", () => {
  const args = parseArgs(["-o", "x"], {
    string: ["out", "arch"],
    default: { arch: "resnet20" },
    alias: { out: "o" },
  });
  assertEquals<unknown>(args, { out: "x", o: "x", arch: "resnet20", _: [] });
  const arch: string = args.arch;
  assertEquals(arch, "resnet20");
});

Deno.test("@std/cli: only a negatable flag is negated by --no-", () => {
  const negated = parseArgs(["--no-color"], {
    boolean: ["color"],
    default: { color: true },
    negatable: ["color"],
  });
  assertEquals<unknown>(negated, { color: false, _: [] });
  assertEquals<unknown>(parseArgs(["--no-color"]), { "no-color": true, _: [] });
});

Deno.test("@std/cli: a text flag without a value is empty, and takes no flag as its value", () => {
  const args = parseArgs(["--out", "--json"], { string: ["out"], boolean: ["json"] });
  assertEquals<unknown>(args, { out: "", json: true, _: [] });
});

Deno.test("@std/cli: unknown arguments are shown as written and left out on false", () => {
  const seen: unknown[] = [];
  const args = parseArgs(["--arhc=resnet20", "--no-luck", "--json", "file"], {
    boolean: ["json"],
    unknown: (arg, key) => {
      seen.push([arg, key]);
      return false;
    },
  });
  assertEquals<unknown>(seen, [
    ["--arhc=resnet20", "arhc"],
    ["--no-luck", "no-luck"],
    ["file", undefined],
  ]);
  assertEquals<unknown>(args, { json: true, _: [] });
});

Deno.test("@std/cli: what follows -- is positional", () => {
  assertEquals<unknown>(parseArgs(["a", "--", "--b"]), { _: ["a", "--b"] });
  assertEquals<unknown>(parseArgs(["a", "--", "--no-b"], { "--": true }), {
    _: ["a"],
    "--": ["--no-b"],
  });
});

Deno.test("@std/cli: names that every object has are names like others", () => {
  const seen: string[] = [];
  const args = parseArgs(["--toString", "--constructor=1", "--__proto__=3", "--no-valueOf"], {
    string: ["out"],
    unknown: (arg, key) => {
      seen.push(`${arg} ${key}`);
      return false;
    },
  });
  assertEquals(seen, [
    "--toString toString",
    "--constructor=1 constructor",
    "--__proto__=3 __proto__",
    "--no-valueOf no-valueOf",
  ]);
  assertEquals<unknown>(args, { _: [] });
});

Deno.test("@std/cli: what begins with a dash is no value of the flag before it", () => {
  assertEquals<unknown>(parseArgs(["--out", "-"], { string: ["out"] }), { out: "", _: ["-"] });
  assertEquals<unknown>(parseArgs(["--out=-"], { string: ["out"] }), { out: "-", _: [] });
  assertEquals<unknown>(parseArgs(["--out", "--", "-"], { string: ["out"] }), {
    out: "",
    _: ["-"],
  });
});

Deno.test("@std/cli: with _ among the texts, numbers without dashes stay text", () => {
  const words = ["007", "1e3", "0x10"];
  assertEquals<unknown>(parseArgs(words, { string: ["_", "out"] }), { _: words });
});
