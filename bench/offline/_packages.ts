/** Which npm packages a program needs where nothing can be fetched. */

/** A part of what `deno info --json` prints. */
export interface ModuleInfo {
  readonly modules: readonly {
    readonly specifier: string;
    /** Of a module of npm: its key in `npmPackages`. */
    readonly npmPackage?: string;
    readonly dependencies?: readonly {
      /** Not there where types alone are imported. */
      readonly code?: { readonly specifier?: string };
      /** Imported while the program runs, if at all. */
      readonly isDynamic?: boolean;
    }[];
  }[];
  readonly redirects: Readonly<Record<string, string>>;
  readonly npmPackages: Readonly<
    Record<string, {
      readonly name: string;
      readonly version: string;
      readonly dependencies: readonly string[];
      /** The package's folder in Deno's cache. */
      readonly localPath: string;
    }>
  >;
}

/** Folders of Deno's cache. */
export interface NeededPackages {
  /** The folder of all packages of a registry. */
  readonly registry: string;
  /** Of packages that have to be whole, below `registry`: `name/version`. */
  readonly whole: readonly string[];
  /**
   * Of packages that no import at the start reaches. Deno asks for the folder of
   * everything in the lock file, but looks into it only when it is imported.
   */
  readonly empty: readonly string[];
}

/**
 * Divides a lock file's packages by whether programs import them at their start.
 *
 * @param infos Of each program.
 * @param locked The keys of the lock file's `npm`: `name@version_peer@version`.
 * @throws {TypeError} If a program's package has no folder, or they have several registries.
 */
export function neededPackages(
  infos: readonly ModuleInfo[],
  locked: readonly string[],
): NeededPackages {
  const whole = new Set<string>();
  const registries = new Set<string>();
  for (const info of infos) {
    const { modules, npmPackages } = info;
    const imported = importedAtStart(info);
    const queue = modules.flatMap(({ specifier, npmPackage }) =>
      npmPackage !== undefined && imported.has(specifier) ? [npmPackage] : []
    );
    const seen = new Set<string>();
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
      if (seen.has(key)) continue;
      seen.add(key);
      const { name, version, dependencies, localPath } = npmPackages[key];
      const path = `${name}/${version}`;
      if (!localPath.endsWith(`/${path}`)) {
        throw new TypeError(`the folder of ${key} must end with ${path}, found ${localPath}`);
      }
      registries.add(localPath.slice(0, -path.length - 1));
      whole.add(path);
      queue.push(...dependencies);
    }
  }
  if (registries.size !== 1) {
    throw new TypeError(
      `packages must be of one registry, found ${[...registries].sort().join(", ")}`,
    );
  }
  const paths = locked.map((key) => /^(@?[^@]+)@([^_]+)/.exec(key)!.slice(1).join("/"));
  const empty = [...new Set(paths)].filter((path) => !whole.has(path));
  return { registry: [...registries][0], whole: [...whole].sort(), empty: empty.sort() };
}

/** Modules that some program imports when it starts, other than for their types. */
function importedAtStart({ modules, redirects }: ModuleInfo): ReadonlySet<string> {
  const specifiers = modules.flatMap(({ dependencies = [] }) =>
    dependencies.flatMap(({ code, isDynamic }) =>
      code?.specifier === undefined || isDynamic ? [] : [code.specifier]
    )
  );
  return new Set(specifiers.map((specifier) => redirects[specifier] ?? specifier));
}
