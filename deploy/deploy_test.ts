/** What must agree between the files of this folder, the workflows and the commands. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { load as parse } from "js-yaml";
import { z } from "zod";
import { parseDockerfile } from "./_dockerfile.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(`../${path}`, import.meta.url));
const list = (path: string, extension: string) =>
  [...Deno.readDirSync(new URL(`../${path}`, import.meta.url))]
    .flatMap(({ name }) => name.endsWith(extension) ? [`${path}/${name}`] : []).sort();

const step = z.looseObject({ uses: z.string().optional(), with: z.looseObject({}).optional() });
const workflow = z.looseObject({
  permissions: z.record(z.string(), z.string()),
  jobs: z.record(
    z.string(),
    z.looseObject({
      uses: z.string().optional(),
      "timeout-minutes": z.number().optional(),
      steps: z.array(step).optional(),
    }),
  ),
});
const WORKFLOWS = list(".github/workflows", ".yml").map((path) => {
  const text = read(path);
  return { path, text, ...workflow.parse(parse(text)) };
});

const container = z.looseObject({
  image: z.string(),
  command: z.array(z.string()).default([]),
  args: z.array(z.string()),
  resources: z.looseObject({ limits: z.record(z.string(), z.unknown()) }),
  securityContext: z.looseObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.object({ drop: z.tuple([z.literal("ALL")]) }),
  }),
});
const pod = z.looseObject({
  restartPolicy: z.literal("Never"),
  automountServiceAccountToken: z.literal(false),
  terminationGracePeriodSeconds: z.number().default(30), // Kubernetes' own default
  securityContext: z.looseObject({
    runAsNonRoot: z.literal(true),
    runAsUser: z.number(),
    seccompProfile: z.object({ type: z.literal("RuntimeDefault") }),
  }),
  containers: z.tuple([container]),
  volumes: z.array(z.looseObject({
    persistentVolumeClaim: z.object({ claimName: z.string() }).optional(),
  })),
});
const job = z.looseObject({
  completions: z.number().optional(),
  podFailurePolicy: z.object({
    rules: z.array(z.looseObject({ action: z.string(), onExitCodes: z.unknown().optional() })),
  }).default({ rules: [] }),
  template: z.looseObject({ spec: pod }),
});
const MANIFESTS = Object.fromEntries(
  list("deploy/kubernetes", ".yaml").map((path) => {
    const loaded = z.looseObject({ kind: z.string(), spec: z.unknown() }).parse(parse(read(path)));
    return [path.slice("deploy/kubernetes/".length, -".yaml".length), loaded];
  }),
);
const JOBS = Object.fromEntries(
  Object.entries(MANIFESTS).flatMap(([name, { kind, spec }]) => {
    if (kind === "PersistentVolumeClaim") return [];
    const nested = z.object({ jobTemplate: z.object({ spec: job }) }).transform((cron) =>
      cron.jobTemplate.spec
    );
    const { template, ...rest } = (kind === "CronJob" ? nested : job).parse(spec);
    return [[name, { ...rest, ...template.spec }]];
  }),
);
const DOCKERFILE = parseDockerfile(read("deploy/Dockerfile"));
const SBATCH = read("deploy/slurm/reproduce.sbatch");

const [, DENO] = /^deno_version=(\S+)$/m.exec(read(".ci/run"))!;

/** The value of a flag, as `--name=value` or `--name value`. */
function flag(args: readonly string[], name: string): string | undefined {
  const joined = args.find((arg) => arg.startsWith(`--${name}=`));
  return joined?.slice(name.length + 3) ??
    (args.includes(`--${name}`) ? args[args.indexOf(`--${name}`) + 1] : undefined);
}

function help(...args: string[]): string {
  const { stdout } = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...args, "--help"],
    cwd: new URL("..", import.meta.url),
  }).outputSync();
  return new TextDecoder().decode(stdout);
}

Deno.test("the workflows, the image and the gate name one version of Deno", () => {
  assertMatch(read("deploy/deno.txt"), new RegExp(`^deno==${DENO} `, "m"));
  const setUps = WORKFLOWS.flatMap(({ jobs }) => Object.values(jobs))
    .flatMap(({ steps = [] }) => steps)
    .filter(({ uses }) => uses?.startsWith("denoland/setup-deno@"));
  assert(setUps.length > 0);
  for (const setUp of setUps) assertEquals(setUp.with?.["deno-version"], `v${DENO}`);
});

Deno.test("Deno's files in the image are pinned by content, for both processors", () => {
  assertEquals(read("deploy/deno.txt").match(/--hash=sha256:[0-9a-f]{64}/g)?.length, 2);
  const [{ instructions }] = DOCKERFILE.stages;
  assert(instructions.some(({ text }) => text.includes("--require-hashes")));
});

Deno.test("actions are pinned by commit, with their version beside it", () => {
  for (const { path, text } of WORKFLOWS) {
    for (const [line, action] of text.matchAll(/uses: (\S+).*$/gm)) {
      if (action.startsWith("./")) continue;
      assertMatch(line, /@[0-9a-f]{40} # v\d+\.\d+\.\d+$/, path);
    }
  }
});

Deno.test("a workflow may read, its jobs end, and no checkout leaves a token behind", () => {
  for (const { path, permissions, jobs } of WORKFLOWS) {
    assertEquals(permissions, { contents: "read" }, path);
    for (const [name, { uses, steps = [], ...job }] of Object.entries(jobs)) {
      assert(uses || job["timeout-minutes"], `${path}: ${name} has no timeout`);
      for (const { uses, with: inputs } of steps) {
        if (!uses?.startsWith("actions/checkout@")) continue;
        assertEquals(inputs?.["persist-credentials"], false, `${path}: ${name}`);
      }
    }
  }
});

Deno.test("hosted runs stop in time to save within GitHub's six hours", () => {
  const nightly = z.object({ jobs: z.object({ cpu: z.object({ with: z.looseObject({}) }) }) });
  const { seconds } = nightly.parse(parse(read(".github/workflows/nightly.yml"))).jobs.cpu.with;
  const grace = Number(/--kill-after=(\d+)/.exec(read("deploy/github/run.sh"))![1]);
  const limit = WORKFLOWS.find(({ path }) => path.endsWith("/reproduce.yml"))!
    .jobs.run["timeout-minutes"]!;
  assert(Number(seconds) + grace < limit * 60, `${seconds} s and ${grace} s in ${limit} minutes`);
  assert(limit < 360);
});

Deno.test("the image's user is the manifests', and no other than root's", () => {
  const user = DOCKERFILE.stages.at(-1)!.instructions.find(({ name }) => name === "USER")!.text;
  for (const [name, { securityContext }] of Object.entries(JOBS)) {
    assertEquals(user, `${securityContext.runAsUser}:${securityContext.runAsGroup}`, name);
    assert(securityContext.runAsUser > 0);
  }
});

Deno.test("every job has the one volume, and writes below it", () => {
  const { metadata } = z.looseObject({ metadata: z.object({ name: z.string() }) })
    .parse(MANIFESTS.volume);
  for (const [name, { volumes, containers: [{ args }] }] of Object.entries(JOBS)) {
    assertEquals(volumes[0].persistentVolumeClaim?.claimName, metadata.name, name);
    assertMatch(flag(args, "out") ?? args.at(-1)!, /^\/jobs\//, name);
  }
});

Deno.test("array jobs have an index for each run of the plan that is written for them", () => {
  const planned = JOBS.plan.containers[0].args;
  const runs = flag(planned, "archs")!.split(",").length * Number(flag(planned, "seeds"));
  assertEquals(JOBS.runs.completions, runs);
  assertEquals(JOBS.runs.completionMode, "Indexed");
  const { args } = JOBS.runs.containers[0];
  assertEquals(flag(args, "index"), "$(JOB_COMPLETION_INDEX)");
  assertEquals(flag(args, "plan"), `${flag(planned, "out")}/plan.json`);
  assertEquals(flag(args, "out"), flag(planned, "out"));
  const [, archs, seeds] = /--archs (\S+) --seeds (\d+)/.exec(SBATCH)!;
  assertMatch(
    SBATCH,
    new RegExp(`^#SBATCH --array=0-${archs.split(",").length * Number(seeds) - 1}$`, "m"),
  );
});

Deno.test("jobs give a pod time to save, and begin it again after that at no charge", () => {
  for (const { podFailurePolicy, terminationGracePeriodSeconds } of [JOBS.runs, JOBS.nightly]) {
    const ignored = podFailurePolicy.rules.filter(({ action }) => action === "Ignore");
    // 143: the command's status after SIGTERM.
    assertEquals(ignored.map(({ onExitCodes }) => onExitCodes), [
      undefined,
      { containerName: "train", operator: "In", values: [143] },
    ]);
    assert(terminationGracePeriodSeconds >= 60);
  }
});

Deno.test("the commands know every flag that is given to them here", () => {
  const reproduce = help("cli/reproduce.ts");
  const flags = (text: string) =>
    [...text.matchAll(/(?<=[\s"'])--([a-z-]+)/g)].map(([, name]) => name);
  const slurm = /^[^#\n]*task reproduce[^&]*/m.exec(SBATCH)![0];
  const hosted = /deploy\/github\/run\.sh[^\n]*\n[^\n]*/
    .exec(read(".github/workflows/reproduce.yml"))![0];
  const jobs = (name: string) => ` ${JOBS[name].containers[0].args.join(" ")}`;
  const planned = /task -q reproduce[^)]*/.exec(read("deploy/github/plan.sh"))![0];
  for (const text of [slurm, hosted, planned, ...["runs", "nightly", "plan"].map(jobs)]) {
    const given = flags(text);
    assert(given.length >= 2, text);
    for (const name of given) assertMatch(reproduce, new RegExp(`--${name}\\b`));
  }
});
