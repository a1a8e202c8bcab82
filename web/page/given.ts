/** What the files that somebody gave a page are: networks and trainings, photographs, CIFAR-10. */

/** Files of one drop or choice. */
export interface Given {
  /** What is judged, each by its path. */
  readonly targets: readonly string[];
  /** How many more were given than are judged. */
  readonly more?: number;
  /** Photographs, each by its path. */
  readonly photographs: readonly string[];
  /** How many more were given than are taken. */
  readonly morePhotographs?: number;
  /** CIFAR-10 in its binary version: a path of its folder or archive. */
  readonly data?: string;
  /** What it is, for people, where it is CIFAR-10 in a version that is not read. */
  readonly unread?: string;
}

/** Names of files that lead what lies beside them: those are no networks of their own. */
const LEADS = /(^|\/)(recording\.jsonl|events\.jsonl|plan\.json|model\.json|[^/]*\.index\.json)$/;
/** Files that belong to another: shards, an ONNX file's own data, the rest of a Keras model. */
const COMPANIONS = /(-\d{5}-of-\d{5}\.|\.(onnx\.)?data$|\.onnx_data$|group\d+-shard\d+of\d+)/;
/** Files that may hold a network: in a folder others are passed over. */
const MODELS =
  /\.(pth?|th|ckpt|pkl|tar|bin|safetensors|onnx|keras|h5|hdf5|npz|npy|msgpack|weights)$/i;
const PHOTOGRAPH = /\.(jpe?g|png|webp|avif|hei[cf]|gif|bmp|tiff?)$/i;
const CIFAR_ARCHIVE = /(^|\/)cifar-10-binary[^/]*\.(tar\.gz|tgz)$/i;
const CIFAR_FILE = /(^|\/)(data_batch_[1-5]|test_batch)\.bin$/;
/** What lies beside them. */
const CIFAR_BESIDE = /^(batches\.meta\.txt|readme\.html)$/;
const CIFAR_PYTHON = /(^|\/)(cifar-10-python[^/]*\.(tar\.gz|tgz)|data_batch_1|test_batch)$/i;
/** Of one drop; each is a worker's run. */
const MOST = 50;

/**
 * Tells what files are, by their paths.
 *
 * @param paths `name` of a file, `folder/name` of what lies in a folder.
 * @returns What is judged and what it is tried on.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sortGiven } from "./given.ts";
 *
 * assertEquals(sortGiven(["a.pth", "cifar-10-batches-bin/data_batch_1.bin"]), {
 *   targets: ["a.pth"],
 *   photographs: [],
 *   data: "cifar-10-batches-bin",
 * });
 * assertEquals(sortGiven(["model.json", "group1-shard1of1.bin"]).targets, ["model.json"]);
 * ```
 */
export function sortGiven(paths: readonly string[]): Given {
  // What systems leave in folders.
  const shown = paths.filter((path) =>
    !/(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/.test(path)
  );
  const data = shown.find((path) => CIFAR_ARCHIVE.test(path)) ??
    folderOf(shown.find((path) => CIFAR_FILE.test(path)));
  const unread = shown.find((path) => CIFAR_PYTHON.test(path));
  const own = shown.filter((path) =>
    !CIFAR_ARCHIVE.test(path) && !CIFAR_PYTHON.test(path) &&
    (data === undefined || !isOfImages(path, data))
  );
  const rest = own.filter((path) => !PHOTOGRAPH.test(path));
  const targets = new Set<string>();
  for (const [top, paths] of Map.groupBy(rest, topOf)) {
    if (top !== "" && paths.some(isWhole)) targets.add(top);
    else {
      const leads = paths.filter((path) => LEADS.test(path));
      for (const path of paths) {
        if (isLed(path, leads) && (top === "" || MODELS.test(path))) targets.add(path);
      }
    }
  }
  const photographs = own.filter((path) => PHOTOGRAPH.test(path));
  return {
    targets: [...targets].slice(0, MOST),
    photographs: photographs.slice(0, MOST),
    ...(targets.size > MOST ? { more: targets.size - MOST } : {}),
    ...(photographs.length > MOST ? { morePhotographs: photographs.length - MOST } : {}),
    ...(data === undefined ? {} : { data }),
    ...(unread !== undefined && data === undefined ? { unread } : {}),
  };
}

/** The folder that a file was given in; empty for a file that was given by itself. */
function topOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

/** Whether a file makes its whole folder what is judged: a recording, a run, a folder of runs. */
function isWhole(path: string): boolean {
  return /(^|\/)(recording|events)\.jsonl$/.test(path) ||
    /^[^/]+\/[^/]*(model|index|plan)\.json$/.test(path);
}

/** Whether a file is judged by itself: it belongs to none of those that lead others. */
function isLed(path: string, leads: readonly string[]): boolean {
  const lead = leads.length > 1 || leads.length === 1 && leads[0] !== path;
  return !COMPANIONS.test(path) && !(lead && !LEADS.test(path) && /\.(bin|json)$/.test(path));
}

/** The folder of a file; `.` of one that lies in none. */
function folderOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  const end = path.lastIndexOf("/");
  return end < 0 ? "." : path.slice(0, end);
}

/**
 * Whether a file is one of CIFAR-10's.
 *
 * @param path The file's.
 * @param data The folder or archive that {@linkcode sortGiven} found.
 */
export function isOfImages(path: string, data: string): boolean {
  return data === "."
    ? CIFAR_FILE.test(path) || CIFAR_BESIDE.test(path)
    : path === data || path.startsWith(`${data}/`);
}
