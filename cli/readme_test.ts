// What the documents tell people to type is there, and prints what they say.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import configuration from "../deno.json" with { type: "json" };

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SHARED = new URL("../../shared/", import.meta.url);
const EVALUATED = ["cifar-10-batches-bin", "pretrained/resnet20-12fca82f.th"]
  .map((path) => fileURLToPath(new URL(path, SHARED)));

const tasks: Readonly<Record<string, { readonly command: string }>> = configuration.tasks;

/** What a task runs, without what only makes it faster, and with the task's own permissions. */
function argumentsOf(task: string): string[] {
  const [, permissions, script] = /(-P=[\w-]+|--allow-[^ ]+(?: --allow-[^ ]+)*|) ?(\w+\/[\w/]+\.ts)/
    .exec(tasks[task].command) ?? [];
  assert(script, `${task} runs no script`);
  return [
    "run",
    "-q",
    "--no-check",
    "--no-prompt",
    ...permissions.split(" ").filter(Boolean),
    script,
  ];
}

async function run(args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    ...{ args: [...args], cwd: ROOT, env: { NO_COLOR: "1", NODEVICE_SELECT: "1" } },
  }).output();
  return [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
}

/** Every `deno task` of a document with its flags, the lines of a command joined. */
function commandsIn(text: string): { task: string; flags: string[] }[] {
  const joined = text.replaceAll(/\\\n\s*/g, " ").replaceAll(
    /`([^`\n]*)\n\s*([^`\n]*)`/g,
    "`$1 $2`",
  );
  return [...joined.matchAll(/deno(?:@[\d.]+)? task ([a-z][a-z0-9:-]*)([^`\n#|;]*)/g)].map(
    ([, task, rest]) => ({ task, flags: rest.match(/(?<= )--[a-z][a-z-]*/g) ?? [] }),
  );
}

async function documents(): Promise<[name: string, text: string][]> {
  const names = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md"];
  for await (const { name, isFile } of Deno.readDir(`${ROOT}docs`)) {
    if (isFile && name.endsWith(".md")) names.push(`docs/${name}`);
  }
  return await Promise.all(
    names.map(async (name): Promise<[string, string]> => [
      name,
      await Deno.readTextFile(`${ROOT}${name}`),
    ]),
  );
}

Deno.test("every task that a document names is there, with its flags", async () => {
  const wanted = new Map<string, Map<string, string>>();
  for (const [name, text] of await documents()) {
    for (const { task, flags } of commandsIn(text)) {
      assert(task in tasks, `${name}: there is no task "${task}"`);
      const known = wanted.get(task) ?? new Map<string, string>();
      for (const flag of flags) known.set(flag, name);
      wanted.set(task, known);
    }
  }
  assert(wanted.size > 15, "the documents name more tasks than that");
  for (const [task, flags] of wanted) {
    // Others than the user's commands have no --help of this form.
    if (!/ cli\/\w+\.ts/.test(tasks[task].command) || task === "help" || flags.size === 0) continue;
    const help = await run([...argumentsOf(task), "--help"]);
    for (const [flag, name] of flags) {
      assertStringIncludes(help, flag, `${name}: deno task ${task} has no ${flag}`);
    }
  }
});

Deno.test("the README's summary prints what it says", async () => {
  const printed = await run([...argumentsOf("summary"), "--arch", "resnet32"]);
  assertStringIncludes(printed, "464,154");
});

const readable = (await Promise.all(
  EVALUATED.map((path) => Deno.stat(path).then(() => true, () => false)),
)).every(Boolean);

Deno.test({
  name: "the README's published net without preparation errs as it says" +
    (readable
      ? ""
      : ` NOT RUN: needs ${EVALUATED.map((path) => path.split("/").at(-1)).join(", ")}`),
  ignore: !readable,
  async fn() {
    const readme = (await Deno.readTextFile(`${ROOT}README.md`)).replaceAll(/\s+/g, " ");
    const [, error, command] =
      /goes to ([\d.]+%) without any: `deno task (evaluate [^`]*)`/.exec(readme) ?? [];
    const [data, weights] = EVALUATED;
    const flags = command.replace("FILE", weights).split(" ").slice(1);
    const printed = await run([...argumentsOf("evaluate"), ...flags, "--data", data, "--json"]);
    const { error: found } = JSON.parse(/^\{.*\}$/m.exec(printed)![0]);
    assertEquals(`${(100 * found).toFixed(2)}%`, error);
  },
});
