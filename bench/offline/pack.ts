/**
 * Packs what a Linux x86-64 machine with a GPU but without a network needs, in
 * numbered parts that may be carried there one by one; `run.sh` does the rest.
 *
 * `deno run --allow-read --allow-write --allow-run --allow-env bench/offline/pack.ts --to kit`
 *
 * Needs tar, xz, git and Debian's apt-get and dpkg-deb here. Four bundles:
 *
 * - `deno`: the program that runs this script;
 * - `vulkan`: the Vulkan loader and the libraries that vendors' drivers load;
 * - `project`: the files that git knows or would take in, and the npm packages
 *   that training, evaluation and the benchmark import;
 * - `data`: CIFAR-10's files, with `--data`.
 */
import { dirname, join, relative } from "node:path";
import {
  CommandError,
  COMMON,
  type FlagValues,
  integer,
  main,
  type Outcome,
  text,
  UsageError,
} from "../../cli/mod.ts";
import { type ModuleInfo, neededPackages } from "./_packages.ts";
import { MANIFEST, manifest, PART, type Part, writeParts } from "./_parts.ts";

const FLAGS = {
  to: text("FOLDER", "where the parts go; made if it is not there, emptied of earlier parts"),
  data: text("FOLDER", "CIFAR-10's binary files; none by default, for training on shapes10"),
  "part-megabytes": integer("the size that no part exceeds; 60 by default", 1),
  debs: text("FOLDER", "Debian packages of the Vulkan loader; downloaded by default"),
  ...COMMON,
} as const;

const command = {
  usage: "deno run --allow-read --allow-write --allow-run --allow-env bench/offline/pack.ts",
  summary: "Packs what a GPU machine without a network needs to train and to be timed.",
  flags: FLAGS,
} as const;

/** What runs there; all that these import is packed. */
const SCRIPTS = ["cli/train.ts", "cli/evaluate.ts", "bench/step.ts", "bench/offline/self_test.ts"];

/** The loader, and what the drivers of NVIDIA link with even where nothing is displayed. */
const DEBIAN_PACKAGES = [
  ...["libvulkan1", "libglvnd0", "libglx0", "libegl1", "libgl1"],
  ...["libx11-6", "libxext6", "libxcb1", "libxau6", "libxdmcp6", "libbsd0", "libmd0"],
];

const CIFAR10 = [
  ...[1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`),
  ...["test_batch.bin", "batches.meta.txt"],
];

const ROOT = join(import.meta.dirname!, "..", "..");

/** Runs a program and returns what it prints. */
async function run(
  program: string,
  args: readonly string[],
  { cwd = ROOT, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args], cwd, env })
    .output().catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new CommandError(`packing needs the program ${program}, which is not installed`);
    });
  if (success) return new TextDecoder().decode(stdout);
  const reason = new TextDecoder().decode(stderr).trim();
  throw new CommandError(`packing: ${program} ${args.join(" ")} failed: ${reason}`);
}

/** Copies a file and makes its folder. */
async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true });
  await Deno.copyFile(from, to);
}

/** Shared libraries by the names that programs ask for, from Debian packages. */
async function stageVulkan(folder: string, temporary: string, debs?: string): Promise<void> {
  const packages = debs ?? join(temporary, "debs");
  if (debs === undefined) {
    await Deno.mkdir(packages);
    await run("apt-get", ["download", "-q", ...DEBIAN_PACKAGES], { cwd: packages });
  }
  const unpacked = join(temporary, "unpacked");
  for await (const { name } of Deno.readDir(packages)) {
    if (name.endsWith(".deb")) await run("dpkg-deb", ["-x", join(packages, name), unpacked]);
  }
  const libraries = join(unpacked, "usr", "lib", "x86_64-linux-gnu");
  for await (const { name } of Deno.readDir(libraries)) {
    const whole = await Deno.realPath(join(libraries, name));
    if (/\.so\.\d+$/.test(name)) await copy(whole, join(folder, name));
  }
  await Deno.stat(join(folder, "libvulkan.so.1")); // the one without which nothing runs
}

/** The working copy's files, the commit where nothing differs from it, and the npm packages. */
async function stageProject(folder: string): Promise<void> {
  const listed = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
  const deleted = new Set((await run("git", ["ls-files", "-z", "--deleted"])).split("\0"));
  for (const path of listed.split("\0").filter((path) => path && !deleted.has(path))) {
    await copy(join(ROOT, path), join(folder, path));
  }
  if (await run("git", ["status", "--porcelain"]) === "") {
    await Deno.mkdir(join(folder, ".git")); // where a run's log looks for the revision
    await Deno.writeTextFile(join(folder, ".git", "HEAD"), await run("git", ["rev-parse", "HEAD"]));
  } else {
    console.error("the working copy differs from its commit: logs there will name no revision");
  }
}

/** The part of Deno's cache that the scripts need. */
async function stagePackages(folder: string): Promise<void> {
  const info = async (...script: string[]) =>
    JSON.parse(await run(Deno.execPath(), ["info", "--json", ...script]));
  const infos: ModuleInfo[] = [];
  for (const script of SCRIPTS) infos.push(await info(script));
  const { npm } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.lock")));
  const { registry, whole, empty } = neededPackages(infos, Object.keys(npm));
  const { denoDir } = await info();
  const to = join(folder, relative(denoDir, registry));
  for (const path of whole) await copyTree(join(registry, path), join(to, path));
  for (const path of empty) await Deno.mkdir(join(to, path), { recursive: true });
}

/** Runs the packed scripts as far as their help: a kit that lacks a package is noticed here. */
async function verify(source: string, packages: string, temporary: string): Promise<void> {
  // Deno writes into its cache; through a link, what is packed stays as it is.
  const cache = join(temporary, "cache");
  await Deno.mkdir(cache);
  await Deno.symlink(join(packages, "npm"), join(cache, "npm"));
  for (const script of SCRIPTS) {
    await run(Deno.execPath(), ["run", "--cached-only", "--no-prompt", script, "--help"], {
      cwd: source,
      env: { DENO_DIR: cache },
    });
  }
}

async function copyTree(from: string, to: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyTree(join(from, name), join(to, name));
    // Source maps are most of a package's size, and no program reads them.
    else if (!name.endsWith(".map")) await copy(join(from, name), join(to, name));
  }
}

/** Packs a folder reproducibly; `level` is xz's. */
async function bundle(
  parent: string,
  name: string,
  level: number,
  to: string,
  size: number,
): Promise<Part[]> {
  const tar = new Deno.Command("tar", {
    args: [
      ...["--create", "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"],
      ...[`--use-compress-program=xz -T0 -${level}`, "--directory", parent, name],
    ],
    stdout: "piped",
  }).spawn();
  const parts = await writeParts(tar.stdout, to, `${name}.tar.xz`, size);
  const { success, code } = await tar.status;
  if (!success) throw new CommandError(`packing ${name}: tar failed with status ${code}`);
  console.error(
    `${name}: ${parts.map(({ bytes }) => `${(bytes / 1e6).toFixed(1)} MB`).join(" + ")}`,
  );
  return parts;
}

async function pack(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { to, data } = flags;
  if (to === undefined) throw new UsageError(`${command.usage} needs --to FOLDER`);
  const size = 1e6 * (flags["part-megabytes"] ?? 60);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(to)) {
    if (PART.test(name)) await Deno.remove(join(to, name));
  }
  const temporary = await Deno.makeTempDir();
  try {
    const folder = async (name: string) => {
      await Deno.mkdir(join(temporary, name));
      return join(temporary, name);
    };
    const project = await folder("project");
    await stageProject(join(project, "source"));
    await stagePackages(join(project, "packages"));
    await verify(join(project, "source"), join(project, "packages"), temporary);
    await copy(Deno.execPath(), join(await folder("deno"), "deno"));
    await stageVulkan(await folder("vulkan"), temporary, flags.debs);
    const parts = [
      ...await bundle(temporary, "project", 6, to, size),
      ...await bundle(temporary, "deno", 6, to, size),
      ...await bundle(temporary, "vulkan", 6, to, size),
    ];
    if (data !== undefined) {
      const images = await folder("data");
      for (const name of CIFAR10) await copy(join(data, name), join(images, name));
      // Images hardly shrink, and less still for a higher level's patience.
      parts.push(...await bundle(temporary, "data", 1, to, size));
    }
    await Deno.writeTextFile(join(to, MANIFEST), manifest(parts));
    await copy(join(import.meta.dirname!, "run.sh"), join(to, "run.sh"));
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
    return {
      text: `${parts.length} parts, ${(bytes / 1e6).toFixed(1)} MB in all, in ${to}; ` +
        "carry them with MANIFEST.sha256 and run.sh",
      json: { to, parts },
    };
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

if (import.meta.main) await main(command, pack);
