/**
 * Takes the Dockerfile's steps in a plain root folder, where no container engine
 * is at hand, then runs the image's program as a cluster would: as the image's
 * user, with a root that is read-only but for /tmp and /jobs.
 *
 * `sudo deno run -A deploy/rehearse.ts --folder /tmp/image -- summary --arch resnet20`
 *
 * Needs Linux, root, mmdebstrap, and Debian's servers. It differs from a build in
 * three ways: the base image is Debian's minimal system from mmdebstrap, `COPY . .`
 * copies the files that git knows or would take in, and layers are not kept apart.
 */
import { dirname, join } from "node:path";
import { parseArgs } from "@std/cli/parse-args";
import { assignments, type Instruction, parseDockerfile, substitute } from "./_dockerfile.ts";

const PROJECT = join(import.meta.dirname!, "..");
const TRUSTED = "/trusted.pem";

const USAGE = `usage: deno run -A deploy/rehearse.ts --folder FOLDER [--build-arg NAME=VALUE]...
       [--certificates FILE] [--work FOLDER] [-- ARGUMENTS]

  --folder        where the root folders are made; emptied first
  --build-arg     as docker build takes it
  --certificates  PEM file of authorities to trust while building, behind a proxy of your own
  --work          what stands for the volume at /jobs; FOLDER/work by default
  ARGUMENTS       in the place of the image's CMD`;

/** What the stages leave: the root folder and how its program is run. */
interface Image {
  readonly root: string;
  readonly environment: Record<string, string>;
  folder: string;
  user: string;
  entrypoint: readonly string[];
  command: readonly string[];
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { success, code } = await new Deno.Command(program, { args: [...args] }).spawn().status;
  if (!success) throw new Error(`${program} ${args.join(" ")} failed with status ${code}`);
}

/** Runs a program with `image.root` as its root and processes, mounts and environment of its own. */
async function inside(
  image: Image,
  command: readonly string[],
  { environment = {}, mounts = "" }: { environment?: Record<string, string>; mounts?: string } = {},
): Promise<void> {
  const { root } = image;
  const variables = { PATH: "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin", ...image.environment };
  const enter = `set -eu; cd "$1"; shift
mount --bind "${root}" "${root}"; mount -t proc proc "${root}/proc"; mount --rbind /dev "${root}/dev"
${mounts}
exec chroot --userspec="$1" "${root}" "\${@:2}"`;
  await run("unshare", [
    ...["--mount", "--pid", "--fork", "--kill-child=SIGTERM", "bash", "-c", enter, "enter", "/"],
    ...[image.user, "/usr/bin/env", "--ignore-environment", `--chdir=${image.folder}`],
    ...Object.entries({ ...variables, ...environment }).map(([name, value]) => `${name}=${value}`),
    ...command,
  ]);
}

/** Copies what git knows or would take in, or one path. */
async function copy(source: string, destination: string): Promise<void> {
  const from = join(PROJECT, source);
  if (source !== ".") {
    await Deno.mkdir(dirname(destination), { recursive: true });
    return await run("cp", ["-a", "--no-preserve=ownership", from, destination]);
  }
  const list = `git -C "$1" ls-files -z --cached --others --exclude-standard |
tar -C "$1" --create --null --files-from=- --ignore-failed-read --owner=0 --group=0 |
tar -C "$2" --extract --no-same-owner`;
  await run("bash", ["-c", `set -eu; ${list}`, "copy", from, destination]);
}

/** What the steps of a stage need besides the image. */
interface Build {
  /** `--build-arg`. */
  readonly given: Readonly<Record<string, string>>;
  /** Of the stage, as far as they are declared. */
  readonly args: Record<string, string>;
  /** Root folders of earlier stages by name. */
  readonly roots: ReadonlyMap<string, string>;
  readonly certificates?: string;
}

/** Does one instruction, or says that it does not know it. */
async function take(
  image: Image,
  { name, text, line }: Instruction,
  { given, args, roots, certificates }: Build,
): Promise<void> {
  switch (name) {
    case "ARG":
      for (const [arg, value] of Object.entries(assignments(text))) {
        args[arg] = given[arg] ?? value;
      }
      return;
    case "ENV":
      Object.assign(
        image.environment,
        assignments(substitute(text, { ...args, ...image.environment })),
      );
      return;
    case "WORKDIR":
      image.folder = text;
      return await Deno.mkdir(join(image.root, text), { recursive: true });
    case "COPY": {
      const [, stage, source, destination] = /^(?:--from=(\S+) )?(\S+) (\S+)$/.exec(text) ?? [];
      if (source === undefined) {
        throw new Error(`line ${line}: expected one source, found ${text}`);
      }
      const to = join(image.root, destination === "." ? image.folder : destination);
      if (stage === undefined) return await copy(source, to);
      const from = roots.get(stage);
      if (!from) throw new Error(`line ${line}: no earlier stage is called ${stage}`);
      return await run("cp", ["-a", join(from, source), to]);
    }
    case "RUN": {
      // What an engine brings from outside: the host's resolver, and whom to trust.
      await Deno.copyFile("/etc/resolv.conf", join(image.root, "etc/resolv.conf"));
      const trust: Record<string, string> = {};
      if (certificates) {
        await Deno.copyFile(certificates, join(image.root, TRUSTED));
        Object.assign(trust, { PIP_CERT: TRUSTED, DENO_CERT: TRUSTED });
      }
      await inside(image, ["/bin/sh", "-c", text], { environment: { ...args, ...trust } });
      if (certificates) await Deno.remove(join(image.root, TRUSTED));
      return;
    }
    case "USER":
      image.user = text;
      return;
    case "ENTRYPOINT":
      image.entrypoint = JSON.parse(text);
      return;
    case "CMD":
      image.command = JSON.parse(text);
      return;
    default:
      throw new Error(`line ${line}: this rehearsal knows no ${name}`);
  }
}

if (import.meta.main) {
  const flags = parseArgs(Deno.args, {
    string: ["folder", "build-arg", "certificates", "work"],
    collect: ["build-arg"],
    "--": true,
  });
  if (!flags.folder) {
    console.error(USAGE);
    Deno.exit(2);
  }
  const folder = flags.folder;
  const dockerfile = parseDockerfile(
    await Deno.readTextFile(join(import.meta.dirname!, "Dockerfile")),
  );
  const given = Object.fromEntries(
    [flags["build-arg"]].flat(2).map((text: string) => {
      const [, name, value] = /^(\w+)=(.*)$/s.exec(text) ?? [];
      if (name === undefined) throw new Error(`--build-arg must be NAME=VALUE, found ${text}`);
      return [name, value];
    }),
  );
  const roots = new Map<string, string>();
  await Deno.mkdir(folder, { recursive: true });

  let image: Image | undefined;
  for (const [index, stage] of dockerfile.stages.entries()) {
    const values = { ...dockerfile.args, ...given };
    const base = substitute(stage.base, values);
    const suite = /^debian:(\w+)-slim$/.exec(base)?.[1];
    if (!suite) throw new Error(`expected the base debian:SUITE-slim, found ${base}`);
    const plain = join(folder, suite);
    await Deno.stat(plain).catch(() => run("mmdebstrap", ["--variant=minbase", suite, plain]));
    const root = join(folder, `stage-${index}`);
    await run("rm", ["-rf", "--one-file-system", root]);
    await run("cp", ["-a", plain, root]);
    if (stage.name) roots.set(stage.name, root);
    const build = { given, args: {}, roots, certificates: flags.certificates };
    image = { root, environment: {}, folder: "/", user: "0:0", entrypoint: [], command: [] };
    for (const instruction of stage.instructions) {
      console.log(`--- line ${instruction.line}: ${instruction.name} ${instruction.text}`);
      await take(image, instruction, build);
    }
  }
  if (!image) throw new Error("the Dockerfile has no stage");
  const work = flags.work ?? join(folder, "work");
  await Deno.mkdir(work, { recursive: true });
  await run("chown", [image.user, work]);
  const command = flags["--"]?.length ? flags["--"] as string[] : image.command;
  console.log(`--- ${[...image.entrypoint, ...command].join(" ")}`);
  await inside(image, [...image.entrypoint, ...command], {
    mounts: `mount --bind "${work}" "${image.root}/jobs"; mount -t tmpfs tmpfs "${image.root}/tmp"
mount -o remount,bind,ro "${image.root}"`,
  });
}
