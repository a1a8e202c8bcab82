/** The audit as a user runs it: a real process with the permissions of its task. */
import { assert, assertEquals } from "@std/assert";
import { architecture, initialise } from "../resnet/mod.ts";
import { encodeSafetensors } from "../weights/mod.ts";

async function audit(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check", "-P=audit"],
      ...[new URL("audit.ts", import.meta.url).href, ...args],
    ],
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "audit-test-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a violation is status 1, and the report goes to files too", () =>
  inFolder(async (folder) => {
    const path = `${folder}/report.json`;
    const page = `${folder}/report.html`;
    const { code, stdout } = await audit("resnet34", "--json", path, "--html", page);
    assertEquals(code, 1);
    assert(stdout.includes("not one of the paper's CIFAR nets"), stdout);
    const report = JSON.parse(await Deno.readTextFile(path));
    assertEquals([report.target, report.status], ["resnet34", 1]);
    for (const line of report.summary) assert(stdout.replace(/\s+/g, " ").includes(line), stdout);
    const html = await Deno.readTextFile(page);
    assert(html.startsWith("<!DOCTYPE html>") && html.includes("21,289,802"), html);
    assertEquals(
      [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted(),
      ["report.html", "report.json"],
    );
  }));

Deno.test("without a violation the status is 3 where not all can be observed", () =>
  inFolder(async (folder) => {
    const path = `${folder}/net.safetensors`;
    await Deno.writeFile(path, encodeSafetensors(initialise(architecture("resnet20"), 1, "in")));
    const { code, stdout, stderr } = await audit(path);
    assertEquals(code, 3, stderr);
    assert(stdout.includes("ResNet-20 or plain-20 of the paper"), stdout);
    assertEquals((await audit(path, "--as", "resnet32")).code, 1);
  }));

Deno.test("each run of a folder is judged by itself, and the gravest is the status", () =>
  inFolder(async (folder) => {
    const job = "reports/reference/resnet20-4000";
    const path = `${folder}/report.json`;
    const { code, stdout, stderr } = await audit(job, "--json", path);
    assertEquals(code, 4, stderr);
    for (const seed of [0, 1, 2]) assert(stdout.includes(`\nresnet20-seed${seed}\n`), stdout);
    for (const error of ["16.35%", "16.88%", "18.52%"]) assert(stdout.includes(error), stdout);
    assert(stdout.includes(`deno task report ${job}`), stdout);
    const { runs } = JSON.parse(await Deno.readTextFile(path));
    assertEquals(runs.map(({ status }: { status: number }) => status), [4, 4, 4]);
    // What one run says alone is what is said of it here.
    const one = await audit(`${job}/runs/resnet20-seed1`, "--json", path);
    assertEquals(one.code, 4);
    const { summary } = JSON.parse(await Deno.readTextFile(path));
    assertEquals(runs[1].summary, summary);
    const page = await audit(job, "--html", `${folder}/page.html`);
    assertEquals(page.code, 2);
    assert(page.stderr.includes(`deno task report ${job}`), page.stderr);
    // A run that has not begun is named, and changes nothing of the others.
    await Deno.mkdir(`${folder}/set/empty`, { recursive: true });
    await Deno.mkdir(`${folder}/set/one`);
    await Deno.copyFile(
      `${job}/runs/resnet20-seed0/events.jsonl`,
      `${folder}/set/one/events.jsonl`,
    );
    const partly = await audit(`${folder}/set`);
    assertEquals(partly.code, 4);
    assert(
      partly.stdout.includes("1 of 2 runs") && partly.stdout.includes("\nempty\n"),
      partly.stdout,
    );
  }));

Deno.test("what cannot be read is status 2, with a message and without a stack", () =>
  inFolder(async (folder) => {
    const broken = `${folder}/broken.onnx`;
    await Deno.writeTextFile(broken, "not a model");
    const table: [string[], string][] = [
      [[], "needs a TARGET"],
      [["resnet33"], `"resnet33" is neither a file, nor a folder, nor an architecture`],
      [["resnet20", "--date", folder], "did you mean --data?"],
      [[folder], "there is no events.jsonl"],
      [[broken], "ONNX"],
    ];
    for (const [args, message] of table) {
      const { code, stdout, stderr } = await audit(...args);
      assertEquals([code, stdout], [2, ""], stderr);
      assert(stderr.includes(message), stderr);
      assert(!stderr.includes("    at "), stderr);
    }
  }));
