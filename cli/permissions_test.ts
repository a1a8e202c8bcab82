/** What each task may do, as `deno.json` grants it and as the commands need it. */
import { assert, assertEquals } from "@std/assert";
import { architecture, initialise } from "../resnet/mod.ts";
import { encodeSafetensors } from "../weights/mod.ts";
import configuration from "../deno.json" with { type: "json" };

const { tasks, permissions } = configuration;

Deno.test("only the TensorFlow tasks load native code or read the environment", () => {
  const native = Object.entries(permissions)
    .filter(([_, granted]) => "ffi" in granted || "env" in granted || "run" in granted)
    .map(([name]) => name);
  assertEquals(native, ["tensorflow", "backend", "test"]);
  for (const [name, { command }] of Object.entries(tasks)) {
    if (/-P=(tensorflow|backend) /.test(command)) assert(name.endsWith("tensorflow"), name);
    assert(!/allow-all|-A\b/.test(command), name);
  }
});

Deno.test("V8 does without bounds checks in the tasks that the decision names, and no others", async () => {
  const page = await Deno.readTextFile(new URL("../docs/decisions/v8-flags.md", import.meta.url));
  const [, question] = /Why do ([^]*?)start\s+Deno/.exec(page)!;
  const named = question.match(/(?<=`)[a-z]+(?=`)/g)!;
  const flagged = Object.entries(tasks).filter(([_, { command }]) =>
    command.includes("--v8-flags=$")
  )
    .map(([name]) => name.split(":")[0]);
  assertEquals([...new Set(flagged)].sort(), named.toSorted());
});

Deno.test("the network is CIFAR's host for those who load images, and nothing else", () => {
  for (const name of ["train", "reproduce", "evaluate"] as const) {
    assertEquals(permissions[name], { read: true, write: true, net: ["www.cs.toronto.edu"] });
  }
  for (const name of ["demo", "audit", "report", "summary", "ablations"] as const) {
    assert(!("net" in permissions[name]), name);
  }
});

Deno.test({
  name: "a task takes the packages of the lock, or none",
  // On the packages of JSR in the place of compat/ the lock grows.
  ignore: !("links" in configuration),
  fn: () => {
    const users = Object.entries(tasks).filter(([name, { command }]) =>
      / (cli\/\w+|bench\/(ablations|fuzz|step))\.ts/.test(command) && name !== "help" ||
      name === "test"
    );
    assert(users.length > 15);
    for (const [name, { command }] of users) assert(/deno \w+ .*--frozen /.test(command), name);
  },
});

Deno.test("the shell hands over where the cache is, and no trace of it is logged", async () => {
  const folder = await Deno.makeTempDir({ prefix: "cli-test-" });
  try {
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--quiet", "--no-prompt", "--no-check", "-P=train"],
          new URL("train.ts", import.meta.url).href,
          ...args,
        ],
        ...{ stdin: "null", stdout: "piped", stderr: "piped" },
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, stdout: text(stdout), stderr: text(stderr) };
    };
    const train = ["--arch", "resnet8", "--iterations", "1", "--engine", "wasm"];
    const out = ["--threads", "1", "--out", `${folder}/run`];
    // A damaged archive in the cache: it is found there, and without any access to the environment.
    await Deno.mkdir(`${folder}/home/.cache/resnet-cifar`, { recursive: true });
    await Deno.mkdir(`${folder}/home/Library/Caches/resnet-cifar`, { recursive: true });
    const archive = "resnet-cifar/cifar-10-binary.tar.gz";
    await Deno.writeTextFile(`${folder}/home/.cache/${archive}`, "none");
    await Deno.writeTextFile(`${folder}/home/Library/Caches/${archive}`, "none");
    const shell = `--shell=;;${folder}/home;`;
    const cached = await run(shell, ...train, ...out);
    assert(cached.stderr.includes("not a whole .tar.gz archive"), cached.stderr);
    assert(cached.stderr.includes(`Delete ${folder}/home`), cached.stderr);
    const small = ["--dataset", "shapes10", "--batch", "8", "--split", "90/10"];
    const trained = await run(shell, ...train, ...small, ...out);
    assertEquals(trained.code, 0, trained.stderr);
    const log = await Deno.readTextFile(`${folder}/run/events.jsonl`);
    assert(!log.includes(folder) && !log.includes("--shell"), log);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("paths are those of the folder that the user stands in, not of the project's", async () => {
  const folder = await Deno.makeTempDir({ prefix: "cli-test-" });
  try {
    const weights = initialise(architecture("resnet8"), 1, "in");
    await Deno.writeFile(`${folder}/mine.safetensors`, encodeSafetensors(weights));
    const root = new URL("../deno.json", import.meta.url).pathname;
    for (const task of ["summary", "audit"]) {
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["task", "--quiet", "--config", root, task, "mine.safetensors"],
        cwd: folder,
        // As `deno task` sets it, unless a task that calls this one has.
        env: { INIT_CWD: folder },
        ...{ stdin: "null", stdout: "piped", stderr: "piped" },
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assert(text(stdout).includes("resnet8"), `${task}: ${text(stderr)}`);
    }
    const handed = Object.values(tasks).filter(({ command }) => / cli\/\w+\.ts/.test(command))
      .filter(({ command }) => !/help\.ts/.test(command));
    assert(handed.length > 10);
    for (const { command } of handed) assert(command.endsWith('$INIT_CWD"'), command);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
