/** The accuracy job as a user runs it: real processes with the permissions of their task. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";

const SMALL = [
  "--archs",
  "resnet8",
  "--dataset",
  "shapes10",
  "--iterations",
  "3",
  "--threads",
  "1",
];

function spawn(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check", "-P=reproduce"],
      ...[new URL("reproduce.ts", import.meta.url).href, ...args],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function run(...args: string[]) {
  const { code, stdout, stderr } = await spawn(...args).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "cli-test-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("reproduce: one run by its index, then the others and the report", () =>
  inFolder(async (folder) => {
    const out = ["--out", `${folder}/job`];
    const second = await run(...SMALL, "--seeds", "2", "--margin", "0.7", ...out, "--index", "1");
    assertEquals(second.code, 0, second.stderr);
    assert(/^run 1, resnet8-seed1: finished, test error \d+\.\d\d%\n$/.test(second.stdout));
    const text = await Deno.readTextFile(`${folder}/job/plan.json`);
    const { margin, seeds, architectures } = JSON.parse(text);
    assertEquals([margin, seeds, architectures], [0.007, [0, 1], ["resnet8"]]);

    // The plan says it all; a fresh process needs no other flag.
    const rest = await run(...out, "--threads", "1", "--json");
    assertEquals(rest.code, 0, rest.stderr);
    assertStringIncludes(rest.stderr, "as it was written:\n  resnet8, 2 seeds each\n");
    assertStringIncludes(rest.stderr, "runs: 1 of 2 over, 1 running");
    const { plan, runs, verdicts, judgements, report } = JSON.parse(rest.stdout);
    assertStringIncludes(rest.stderr, `plan ${plan} in`);
    assertEquals(runs.map(({ state }: { state: string }) => state), ["finished", "finished"]);
    assertEquals(verdicts.map(({ kind }: { kind: string }) => kind), ["none"]);
    const outcomes = judgements.map(({ outcome }: { outcome: string }) => outcome);
    assertEquals([outcomes.length, outcomes.includes("fail")], [9, false]);
    for (const path of [report.html, `${folder}/job/runs/resnet8-seed0/report.html`]) {
      assert((await Deno.stat(path)).size > 0, path);
    }

    const again = await run(...out, "--index", "1");
    assertEquals([again.code, again.stdout], [0, second.stdout]);
    const other = await run(...SMALL, ...out, "--margin", "0.5");
    assertEquals([other.code, other.stdout], [1, ""]);
    assertStringIncludes(other.stderr, "margin: 0.007 planned, 0.005 asked for");

    const log = `${folder}/job/runs/resnet8-seed1/events.jsonl`;
    await Deno.writeTextFile(
      log,
      (await Deno.readTextFile(log)).replace(/"loss":\d/, `"loss":9`),
    );
    const altered = await run(...out);
    assertEquals([altered.code, altered.stdout], [1, ""]);
    assertStringIncludes(altered.stderr, "error: the run resnet8-seed1 can't count: ");
    assertStringIncludes(altered.stderr, "the log was altered after it was written");
    assert(!altered.stderr.includes("    at "), altered.stderr);
  }));

Deno.test("reproduce: flags that make no plan exit with a message and leave nothing behind", () =>
  inFolder(async (folder) => {
    const table: [string[], number, string][] = [
      [["--archs", "resnet20,resnet21"], 1, "the nearest are 20 and 26"],
      [["--archs", "resnet20,"], 2, "--archs must be words with a comma between each two"],
      [["--archs", "resnet8,resnet8"], 1, "expected each architecture once"],
      [["--recipe", "paper,secret"], 2, "--recipe must be of paper, paper-50k"],
      [["--recipe", "paper,paper"], 2, "--recipe must be words of which each comes once"],
      [["--seeds", "0"], 2, "--seeds must be a whole number from 1 to 1000"],
      [["--plan", `${folder}/none.json`], 1, "there is none at"],
      [["--plan", "plan.json", "--dataset", "shapes10"], 2, "found --dataset beside it"],
      [["--plan", "plan.json", "--margin", "0.5", "--index", "0"], 2, "found --margin beside it"],
    ];
    for (const [args, status, message] of table) {
      const set = args.includes("--plan") ? [] : ["--dataset", "shapes10"];
      const { code, stdout, stderr } = await run(...set, ...args, "--out", `${folder}/job`);
      assertEquals([code, stdout], [status, ""], stderr);
      assertStringIncludes(stderr, message);
      assert(!stderr.includes("    at "), stderr);
    }
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test({
  name: "reproduce: SIGTERM saves the step, and the same command goes on",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      const args = [...SMALL.slice(0, 4), "--iterations", "400", "--seeds", "1", "--threads", "1"];
      const child = spawn(...args, "--out", folder);
      const stdout = new Response(child.stdout).text();
      const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
      let shown = "";
      while (!shown.includes("iteration 13/400")) {
        const { value, done } = await reader.read();
        assert(!done, shown);
        shown += value;
      }
      child.kill("SIGTERM");
      while (!(await reader.read()).done);
      assertEquals((await child.status).code, 143);
      const text = await stdout;
      assertStringIncludes(text, `stopped (SIGTERM); the state is in ${folder}/runs/resnet8-seed0`);
      assertStringIncludes(text, "To go on:\n  deno task reproduce --archs resnet8");
      const names = [...Deno.readDirSync(`${folder}/runs/resnet8-seed0`)].map(({ name }) => name);
      assert(names.some((name) => name.startsWith("checkpoint-")), names.join());
    }),
});

Deno.test("reproduce: two readings are two claims of one plan", () =>
  inFolder(async (folder) => {
    const out = ["--out", `${folder}/job`];
    const both = [...SMALL, "--seeds", "1", "--recipe", "paper,paper-50k", ...out];
    const { code, stdout, stderr } = await run(...both);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "  resnet8 by paper and by paper-50k, 1 seed each");
    assertStringIncludes(stdout, "resnet8 by paper: ");
    assertStringIncludes(stdout, "resnet8 by paper-50k: ");
    const { plan: { content } } = JSON.parse(
      await Deno.readTextFile(`${folder}/job/report.json`),
    );
    assertEquals([content.version, content.recipe], [2, ["paper", "paper-50k"]]);
  }));

Deno.test("a plan alone begins no run, and is the plan of the job that follows", () =>
  inFolder(async (folder) => {
    const out = `${folder}/job`;
    const { code, stdout, stderr } = await run(
      ...SMALL,
      "--seeds",
      "2",
      "--out",
      out,
      "--plan-only",
      "--json",
    );
    assertEquals(code, 0, stderr);
    const { runs, plan } = JSON.parse(stdout);
    assertEquals(runs, [{ index: 0, name: "resnet8-seed0" }, { index: 1, name: "resnet8-seed1" }]);
    assertEquals([...Deno.readDirSync(out)].map(({ name }) => name).includes("runs"), false);
    const again = await run("--out", out, "--plan-only", "--json");
    assertEquals(JSON.parse(again.stdout).plan, plan);
  }));
