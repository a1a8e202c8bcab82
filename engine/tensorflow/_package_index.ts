/**
 * Finds wheels in a Python package index: pypi.org, or the one that pip is configured to use.
 *
 * Source: PEP 503 and PEP 691, the index's HTML and JSON forms; pip's documentation, "Configuration".
 */
import { EngineError } from "../engine.ts";

/** A file in the index. */
export interface IndexFile {
  readonly name: string;
  readonly url: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

const PYPI = "https://pypi.org/simple";

/**
 * The address of the index: `PIP_INDEX_URL`, or `index-url` of pip's configuration files, or pypi.org.
 *
 * @param readFile A configuration file's text, or undefined where it can't be read.
 */
export async function indexUrl(
  environment: (name: string) => string | undefined,
  readFile: (path: string) => Promise<string | undefined>,
): Promise<string> {
  const home = environment("HOME");
  const files = [
    environment("PIP_CONFIG_FILE"),
    home && `${home}/.config/pip/pip.conf`,
    home && `${home}/.pip/pip.conf`,
    "/etc/pip.conf",
  ];
  let found = environment("PIP_INDEX_URL");
  for (const file of files) {
    if (found) break;
    const text = file ? await readFile(file) : undefined;
    found = text && configuredIndex(text);
  }
  return (found ?? PYPI).replace(/\/+$/, "");
}

/** `index-url` of the sections that `pip install` reads. */
function configuredIndex(text: string): string | undefined {
  let section = "";
  for (const line of text.split("\n")) {
    section = /^\s*\[(.+?)\]/.exec(line)?.[1] ?? section;
    const value = /^\s*index[-_]url\s*[=:]\s*(\S+)/.exec(line)?.[1];
    if (value && ["global", "install", "download"].includes(section)) return value;
  }
}

/**
 * The wheels of a project.
 *
 * @throws {EngineError} If the index can't be reached or has no such project.
 */
export async function wheelsOf(index: string, project: string): Promise<IndexFile[]> {
  const page = `${index}/${project}/`;
  let response: Response;
  try {
    response = await fetch(page, {
      headers: { Accept: "application/vnd.pypi.simple.v1+json, text/html;q=0.5" },
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new EngineError(
        `looking for ${project}: no permission to reach ${new URL(page).host}; run ` +
          `deno run -P=backend --allow-net=${new URL(page).host} cli/backend_tensorflow.ts`,
        { cause: error },
      );
    }
    throw new EngineError(
      `looking for ${project}: ${page} can't be reached (${(error as Error).message}); set ` +
        `PIP_INDEX_URL to an index that can, or give --wheel FILE or --library DIR`,
      { cause: error },
    );
  }
  if (!response.ok) {
    await response.body?.cancel();
    throw new EngineError(`looking for ${project}: ${page} answered ${response.status}`);
  }
  const files = response.headers.get("Content-Type")?.includes("json")
    ? fromJson(await response.json())
    : fromHtml(await response.text());
  return files.filter(({ name }) => name.endsWith(".whl"))
    .map((file) => ({ ...file, url: new URL(file.url, response.url).href }));
}

interface JsonIndex {
  readonly files: readonly {
    readonly filename: string;
    readonly url: string;
    readonly hashes: { readonly sha256?: string };
    readonly yanked?: boolean | string;
  }[];
}

function fromJson({ files }: JsonIndex): IndexFile[] {
  return files.filter(({ yanked }) => !yanked).flatMap(({ filename, url, hashes: { sha256 } }) =>
    sha256 === undefined ? [] : [{ name: filename, url, sha256 }]
  );
}

function fromHtml(page: string): IndexFile[] {
  const links = page.matchAll(/<a\s[^>]*?href="([^"#]+)#sha256=([0-9a-f]{64})"[^>]*>\s*([^<\s]+)/g);
  return [...links].map(([, url, sha256, name]) => ({
    name,
    url: url.replaceAll("&amp;", "&"),
    sha256,
  }));
}

/** Version numbers as they sort: 2.9.1 before 2.21.0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(".").map(Number));
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether a version is one that a requirement like `<13.0,>=12.5.82` allows. */
export function satisfies(version: string, requirement: string): boolean {
  return requirement.split(",").every((clause) => {
    const [, operator, bound] = /^\s*(==|>=|<=|<|>|!=)\s*([\d.]+)\s*$/.exec(clause) ?? [];
    const order = bound === undefined ? NaN : compareVersions(version, bound);
    switch (operator) {
      case "==":
        return order === 0;
      case ">=":
        return order >= 0;
      case "<=":
        return order <= 0;
      case "<":
        return order < 0;
      case ">":
        return order > 0;
      case "!=":
        return order !== 0;
      default:
        throw new EngineError(`choosing a wheel: can't read the requirement "${clause}"`);
    }
  });
}

/** A wheel's version, if it is a release for this machine: any Python's, since only its library counts. */
export function versionFor(
  name: string,
  { os, arch }: { os: string; arch: string } = Deno.build,
): string | undefined {
  const [, version, platform] =
    /^[^-]+-(\d+(?:\.\d+)+(?:\.post\d+)?)-[^-]+-[^-]+-(.+)\.whl$/.exec(name) ?? [];
  if (version === undefined || version.includes("post")) return undefined;
  const machine = { x86_64: "x86_64", aarch64: os === "darwin" ? "arm64" : "aarch64" }[arch];
  const system = { linux: "manylinux", darwin: "macosx" }[os];
  return system !== undefined && machine !== undefined && platform.startsWith(system) &&
      platform.endsWith(machine)
    ? version
    : undefined;
}
