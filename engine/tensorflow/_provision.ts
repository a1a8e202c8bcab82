/**
 * Installs the native part of the backend, step by step: a library of TensorFlow, NVIDIA's
 * libraries where it needs them, and the addon built against it. Every step leaves something whole
 * or nothing, and is skipped when it is already done, so that a broken-off run goes on.
 */
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { unpackTar } from "modern-tar/fs";
import { download, type DownloadProgress, writeWhole } from "../../files/mod.ts";
import { EngineError } from "../engine.ts";
import { buildAddon } from "./_addon.ts";
import { openAddon } from "./_backend.ts";
import { cudaRequirement, missingCuda } from "./_cuda.ts";
import { prepareEnvironment } from "./_environment.ts";
import {
  backendFolder,
  type DeviceKind,
  type Installation,
  recordInstallation,
} from "./_installation.ts";
import { locateLibrary } from "./_library.ts";
import { officialArchive } from "./_official.ts";
import {
  compareVersions,
  type IndexFile,
  indexUrl,
  satisfies,
  versionFor,
  wheelsOf,
} from "./_package_index.ts";
import { unzip } from "./_unzip.ts";

/** What to install, and from where. */
export interface ProvisionOptions {
  readonly kind: DeviceKind;
  /**
   * The packages' own archive, or Python's wheel. By default for the CPU the archive, or the wheel
   * where it can't be reached; for the GPU the wheel, since the archive wants CUDA 11.2, which
   * knows no card newer than Ampere.
   */
  readonly from?: "official" | "wheel";
  /** A folder with a library, which is used where it is. */
  readonly library?: string;
  /** A wheel's version, or its file. */
  readonly wheel?: string;
  /** Takes one line a step. */
  readonly log: (line: string) => void;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** The version of Python's wheel that is taken by default; see VERSIONS.md. */
export const TENSORFLOW_VERSION = "2.21.0";

const VERSION = /^\d+(\.\d+)+$/;

/** Members of a wheel: the library, and the headers that its C interface includes. */
const WHEEL_MEMBERS =
  /^tensorflow\/(libtensorflow[\w.]*|include\/(tensorflow\/(c|tsl|core\/platform)|tsl|xla)\/.*\.h)$|\.dist-info\/METADATA$/;

/** Installs the native part and puts it into use. */
export async function provision(options: ProvisionOptions): Promise<Installation> {
  const { kind, log } = options;
  if (Deno.build.os === "windows") {
    throw new EngineError(
      "installing TensorFlow: Linux and macOS are supported, found windows; use WSL 2",
    );
  }
  const { folder, source } = await provideLibrary(options);
  const library = await locateLibrary(folder);
  log(`library: ${source}, in ${folder}`);

  const place = options.library === undefined ? folder : `${backendFolder()}/library-${kind}`;
  const addon = `${place}/tfjs_binding-4.22.0.node`;
  if (options.library !== undefined || !await exists(addon)) {
    await Deno.mkdir(place, { recursive: true });
    await buildAddon(library, addon);
    log(`addon: built from the sources of @tensorflow/tfjs-node 4.22.0`);
  } else {
    log("addon: built before");
  }

  prepareEnvironment(kind);
  const version = openAddon(addon, library.files).TF_Version;
  log(`loaded: TensorFlow ${version}`);
  const installation: Installation = {
    ...{ addon, libraries: library.files, folder, version, source },
  };
  if (kind === "gpu") await provideCuda(installation, options);
  await recordInstallation(kind, installation);
  return installation;
}

/** A folder with a library, and where it came from. */
interface Provided {
  readonly folder: string;
  readonly source: string;
}

async function provideLibrary(options: ProvisionOptions): Promise<Provided> {
  const { kind, from, library, wheel, log } = options;
  if (library !== undefined) {
    return { folder: await Deno.realPath(library), source: `the folder ${library}` };
  }
  if (wheel !== undefined || from === "wheel" || (kind === "gpu" && from === undefined)) {
    return await provideWheel(options);
  }
  try {
    return await provideOfficial(options);
  } catch (error) {
    if (from !== undefined || !(error instanceof UnreachableError)) throw error;
    log(`${error.message}; taking Python's wheel instead`);
    return await provideWheel(options);
  }
}

/** A server that does not answer. */
class UnreachableError extends EngineError {}

async function provideOfficial({ kind, log, onProgress }: ProvisionOptions): Promise<Provided> {
  const { url, version, sha256 } = officialArchive(kind, Deno.env.get("TFJS_NODE_CDN_STORAGE"));
  const folder = `${backendFolder()}/official-${version}-${kind}`;
  const source = url;
  await unpackOnce(
    folder,
    () => fetchVerified({ name: nameOf(url), url, sha256 }, log, onProgress),
    (archive, part) => pipeline(createReadStream(archive), createGunzip(), unpackTar(part)),
  );
  return { folder, source };
}

async function provideWheel(options: ProvisionOptions): Promise<Provided> {
  const { kind, wheel = TENSORFLOW_VERSION, log, onProgress } = options;
  if (!VERSION.test(wheel)) {
    const folder = `${backendFolder()}/${nameOf(wheel).replace(/\.whl$/, "")}`;
    await unpackOnce(folder, () => Promise.resolve(wheel), unpackWheel);
    return { folder, source: `the wheel ${nameOf(wheel)}` };
  }
  const folder = `${backendFolder()}/wheel-${wheel}-${kind}`;
  const project = kind === "cpu" && Deno.build.os === "linux" && Deno.build.arch === "x86_64"
    ? "tensorflow-cpu" // without CUDA's kernels: half as large
    : "tensorflow";
  const fetchWheel = async () =>
    await fetchVerified(await newestWheel(project, `==${wheel}`), log, onProgress);
  await unpackOnce(folder, fetchWheel, unpackWheel);
  return { folder, source: `the wheel ${project} ${wheel}` };
}

async function unpackWheel(wheel: string, folder: string): Promise<void> {
  const count = await unzip(wheel, folder, (path) => WHEEL_MEMBERS.test(path));
  if (count === 0) {
    throw new EngineError(
      `unpacking ${wheel}: a wheel of TensorFlow holds tensorflow/libtensorflow*, found none`,
    );
  }
}

/** NVIDIA's wheels that TensorFlow's names, where the system has not what they bring. */
async function provideCuda(
  installation: Installation,
  { log, onProgress }: ProvisionOptions,
): Promise<void> {
  const missing = missingCuda(installation);
  if (missing.length === 0) return log("CUDA and cuDNN: found");
  const { cuda, cudnn } = cudaRequirement(installation.version);
  const requirements = await cudaWheels(installation.folder);
  if (requirements.length === 0) {
    return log(
      `CUDA ${cuda} and cuDNN ${cudnn}: the loader can't find ${missing.join(", ")}; install ` +
        `them (developer.nvidia.com/cuda-toolkit-archive and /cudnn-archive), or use --from wheel`,
    );
  }
  log(`CUDA and cuDNN: missing ${missing.join(", ")}; taking NVIDIA's wheels, about 3 GB`);
  for (const [project, requirement] of requirements) {
    const file = await newestWheel(project, requirement);
    const done = `${installation.folder}/nvidia/.${file.name}`;
    if (await exists(done)) continue;
    const archive = await fetchVerified(file, log, onProgress);
    await unzip(archive, installation.folder, (path) => /^nvidia\/\w+\/lib\/[^/]+$/.test(path));
    await writeWhole(done, `${file.sha256}\n`);
    await Deno.remove(archive);
  }
}

/** Projects and requirements of `tensorflow[and-cuda]`, without the compiler, which only XLA uses. */
async function cudaWheels(folder: string): Promise<[string, string][]> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".dist-info")) continue;
    return parseCudaWheels(await Deno.readTextFile(`${folder}/${name}/METADATA`));
  }
  return [];
}

/** The lines `Requires-Dist: nvidia-... ; extra == "and-cuda"` of a wheel's metadata. */
export function parseCudaWheels(metadata: string): [string, string][] {
  const lines = metadata.matchAll(
    /^Requires-Dist: (nvidia-[\w-]+?)\s*\(?([=<>!][^;)]*)\)?\s*; extra == ['"]and-cuda['"]/gm,
  );
  return [...lines].map(([, project, requirement]): [string, string] => [
    project,
    requirement.trim(),
  ])
    .filter(([project]) => !project.includes("-nvcc-"));
}

/** The newest wheel for this machine that a requirement allows. */
async function newestWheel(project: string, requirement: string): Promise<IndexFile> {
  const index = await indexUrl((name) => Deno.env.get(name), readText);
  const wheels = (await wheelsOf(index, project)).flatMap((file) => {
    const version = versionFor(file.name);
    return version === undefined ? [] : [{ file, version }];
  });
  const [best] = wheels.filter(({ version }) => satisfies(version, requirement))
    .sort((a, b) => compareVersions(b.version, a.version) || (a.file.name < b.file.name ? -1 : 1));
  if (best) return best.file;
  const versions = [...new Set(wheels.map(({ version }) => version))].sort(compareVersions);
  throw new EngineError(
    `looking for ${project} ${requirement} for ${Deno.build.os} ${Deno.build.arch} in ${index}: ` +
      `it has ${versions.join(", ") || "none for this machine"}; give --wheel one of them`,
  );
}

/** A verified file in the folder for downloads. */
async function fetchVerified(
  { name, url, sha256 }: IndexFile,
  log: ProvisionOptions["log"],
  onProgress: ProvisionOptions["onProgress"],
): Promise<string> {
  const path = `${downloadFolder()}/${name}`;
  if (await exists(path)) return path; // it got its name when it was verified
  const bytes = await sizeOf(url);
  log(`downloading ${url} (${Math.round(bytes / 1e6)} MB)`);
  await download({ url, path, bytes, sha256, ...(onProgress && { onProgress }) });
  return path;
}

async function sizeOf(url: string): Promise<number> {
  let response: Response;
  try {
    response = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(20_000) });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new UnreachableError(
      `downloading ${url}: the server can't be reached (${reason(error)})`,
      { cause: error },
    );
  }
  const length = Number(response.headers.get("Content-Length"));
  if (!response.ok || !(length > 0)) {
    throw new UnreachableError(
      `downloading ${url}: the server answered ${response.status} and a length of ${length}`,
    );
  }
  return length;
}

/** The innermost message: fetch's own says only that it failed. */
function reason(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? reason(cause) : message.replace(/^.* for url \([^)]*\): /, "");
}

/** Makes a folder from an archive, unless it is there; what was downloaded is deleted then. */
async function unpackOnce(
  folder: string,
  archiveFile: () => Promise<string>,
  unpack: (archive: string, folder: string) => Promise<void>,
): Promise<void> {
  if (await exists(folder)) return;
  const archive = await archiveFile();
  const part = `${folder}.part`;
  await Deno.mkdir(part, { recursive: true });
  await unpack(archive, part);
  await Deno.rename(part, folder);
  if (archive.startsWith(downloadFolder())) await Deno.remove(archive);
}

function downloadFolder(): string {
  return `${backendFolder()}/downloads`;
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, (error) => {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  });
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
