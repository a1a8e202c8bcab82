// Committed results of real runs: what they say must still follow from their logs. Pictures of the
// data set are not committed, weights of few runs; the hashes of all are in the logs.
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { COSTS } from "../audit/mod.ts";
import { judge, type Judgement, LOG_RULES } from "../spec/mod.ts";
import { loggedRun, logSubjectOf, parseRunLog } from "../log/mod.ts";
import { foldersIn } from "../files/mod.ts";
import { TABLE_6 } from "../paper/mod.ts";
import { parsePlan, planHash } from "../verdicts/mod.ts";
import { writeSetReport } from "./mod.ts";
import type { SetNet } from "./set/result.ts";

const REFERENCE = fileURLToPath(new URL("reference", import.meta.url));
const ERROR_RECOMPUTED = LOG_RULES.filter(({ id }) => id === "error-recomputed");

for (const job of await foldersIn(REFERENCE)) {
  Deno.test(`the report in ${job.slice(REFERENCE.length + 1)} follows from its logs`, async () => {
    const report = JSON.parse(await Deno.readTextFile(`${job}/report.json`));
    // Runs that were put side by side have no plan, and no verdict.
    const hash = report.plan === null
      ? undefined
      : planHash(parsePlan(await Deno.readTextFile(`${job}/plan.json`)));
    assertEquals(report.plan?.sha256, hash);
    const nets = report.groups.flatMap(({ nets }: { nets: unknown[] }) => nets);
    assert(nets.length > 0);
    for (const { runs, summary, meanInterval } of nets) {
      if (meanInterval) {
        assert(meanInterval.lower >= 0 && meanInterval.upper <= 1, "an error is a share");
      }
      const errors: number[] = [];
      for (const { folder, logSha256, outcome } of runs) {
        const log = await Deno.readFile(`${job}/${folder}/events.jsonl`);
        assertEquals(createHash("sha256").update(log).digest("hex"), logSha256, folder);
        const { start, events } = parseRunLog(new TextDecoder().decode(log));
        assertEquals(start.plan, hash, folder);
        const end = events.at(-1);
        if (outcome !== "finished") {
          // Shown for its curve: nothing is claimed of a run that may go on, and one that diverged
          // counts without an error.
          assert(end?.type === "stop" || end?.type === "failure", folder);
          const diverged = end.type === "failure" && end.diverged === true;
          assertEquals(outcome, diverged ? "diverged" : null, folder);
          continue;
        }
        const [judged] = judge(ERROR_RECOMPUTED, await logSubjectOf(`${job}/${folder}`));
        assertEquals(judged.outcome, "pass", `${folder}: ${judged.evidence}`);
        assert(end?.type === "end", `${folder} has not ended`);
        errors.push(end.testError);
      }
      const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
      if (errors.length > 0) assertAlmostEquals(summary.mean, mean, 1e-12);
      else assertEquals(summary, null);
    }
    const out = await Deno.makeTempDir();
    try {
      const folders = nets.flatMap(({ runs }: { runs: { folder: string }[] }) =>
        runs.map(({ folder }) => `${job}/${folder}`)
      );
      const { json } = await writeSetReport(hash ? [job] : folders, out);
      const again = JSON.parse(await Deno.readTextFile(json));
      assertEquals(figures(report), figures(again));
      const broken = ({ judgements }: { judgements: Judgement[] }) =>
        judgements.filter(({ outcome }) => outcome === "fail").map(({ id }) => id);
      assertEquals(broken(report), broken(again));
    } finally {
      await Deno.remove(out, { recursive: true });
    }
  });
}

/** What a report says of each net, but for its words and the folders' names. */
function figures({ groups }: { readonly groups: readonly { readonly nets: readonly Net[] }[] }) {
  return groups.flatMap(({ nets }) => nets).map(
    ({ architecture, summary, curves, layers, verdict }) => {
      const { sentence: _, ...numbers } = verdict ?? {};
      return { architecture, summary, curves, layers, verdict: verdict && numbers };
    },
  );
}

type Net = Pick<SetNet, "architecture" | "summary" | "curves" | "layers" | "verdict">;

Deno.test("system B beside PyTorch: its table is that of the logs of both programs", async () => {
  const read = (path: string) => Deno.readTextFile(`${REFERENCE}/system-b/${path}`);
  const logs = [
    ...[0, 1].map((seed) => `runs/resnet18-cifar-seed${seed}/events.jsonl`),
    ...[0, 1].map((seed) => `pytorch-seed${seed}.jsonl`),
  ];
  const columns = await Promise.all(logs.map(async (log) => {
    const lines = (await read(log)).trimEnd().split("\n").map((line) => JSON.parse(line));
    return new Map<string, number>(
      lines.filter(({ type }) => type === "evaluation")
        .map(({ set, iteration, error }) => [set === "test" ? "test" : String(iteration), error]),
    );
  }));
  const rows = [...(await read("README.md")).matchAll(/^\| (test|\d+) +\|(.*)\|$/gm)];
  assertEquals(rows.map(([_, step]) => step), [...columns[0].keys()]);
  for (const [_, step, cells] of rows) {
    assertEquals(
      cells.split("|").map((cell) => cell.trim()),
      columns.map((errors) => percentage(errors.get(step)!)),
      step,
    );
  }
});

Deno.test("system C as it was and changed: its tables are those of the three logs", async () => {
  const read = (path: string) => Deno.readTextFile(`${REFERENCE}/costs/${path}`);
  const names = ["c-as-it-was", "c-augmented", "c-paper-optimiser"];
  const runs = await Promise.all(names.map(async (name) => {
    const { start, events } = parseRunLog(await read(`runs/${name}/events.jsonl`));
    const batches = Math.ceil(start.data.trainingImages / start.recipe.batchSize);
    const end = events.at(-1);
    const best = events.findLast(({ type }) => type === "best");
    assert(end?.type === "end" && best?.type === "best");
    return { ...loggedRun(events), batches, last: end.testError, best: best.error };
  }));
  const readme = await read("README.md");
  for (const [row, of] of [["last", "last"], ["of the best validation loss", "best"]] as const) {
    const [, cells] = new RegExp(`^\\| ${row} +\\|(.*)\\|$`, "m").exec(readme)!;
    assertEquals(
      cells.split("|").map((cell) => cell.trim()),
      runs.map((run) => percentage(run[of])),
      row,
    );
  }
  const rows = [...readme.matchAll(/^\| (\d+) +\|(.*)\|$/gm)];
  assert(rows.length > 5);
  for (const [_, epoch, cells] of rows) {
    const values = runs.flatMap(({ steps, evaluations, batches }) => {
      const [after, to] = [batches * (Number(epoch) - 1), batches * Number(epoch)];
      const lines = steps.filter(({ iteration }) => iteration > after && iteration <= to);
      const images = lines.reduce((sum, line) => sum + line.images, 0);
      const wrong = lines.reduce((sum, line) => sum + line.images * line.error, 0);
      const { error, loss } = evaluations.find(({ set, iteration }) =>
        set === "validation" && iteration === to
      )!;
      return [percentage(wrong / images), percentage(error), loss.toFixed(3)];
    });
    assertEquals(cells.split("|").map((cell) => cell.trim()), values, `epoch ${epoch}`);
  }
});

Deno.test("ResNet-20 without augmentation: its table is that of its log", async () => {
  const folder = `${REFERENCE}/costs`;
  const { events } = parseRunLog(
    await Deno.readTextFile(`${folder}/runs/resnet20-no-augmentation/events.jsonl`),
  );
  const { steps, evaluations } = loggedRun(events);
  const rows = [
    ...(await Deno.readTextFile(`${folder}/README.md`)).matchAll(/^\| (\d+,000) +\|(.*)\|$/gm),
  ];
  assertEquals(rows.length, 8);
  for (const [_, written, cells] of rows) {
    const here = Number(written.replace(",", ""));
    const { learningRate } = steps.find(({ iteration }) => iteration === here)!;
    const { error, loss } = evaluations.find(({ set, iteration }) =>
      set === "validation" && iteration === here
    )!;
    assertEquals(
      cells.split("|").map((cell) => cell.trim()),
      [String(learningRate), percentage(error), loss.toFixed(3)],
      written,
    );
  }
  assertEquals(steps.find(({ iteration }) => iteration === 40_000)?.error, 0);
});

Deno.test("what the table of costs says of trainings is what their logs say", async () => {
  const errorOf = async (run: string) => {
    const { events } = parseRunLog(
      await Deno.readTextFile(`${REFERENCE}/costs/runs/${run}/events.jsonl`),
    );
    const end = events.at(-1);
    assert(end?.type === "end", `${run} has not ended`);
    return end.testError;
  };
  const over = COSTS.flatMap(({ known, points, training }) =>
    training?.logs ? [{ known, points, logs: training.logs }] : []
  );
  assert(over.length > 0);
  for (const { known = "", points, logs: [run, against] } of over) {
    const error = await errorOf(run);
    const other = against ? await errorOf(against) : TABLE_6.resnet20.error;
    assertStringIncludes(known, percentage(error));
    assertStringIncludes(known, percentage(other));
    if (points !== undefined) assertAlmostEquals(points, 100 * (error - other), 0.005);
  }
});

function percentage(share: number): string {
  return `${(100 * share).toFixed(2)}%`;
}
