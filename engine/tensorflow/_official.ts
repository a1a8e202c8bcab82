/**
 * The archives of libtensorflow that the packages' own install script downloads.
 *
 * Source: `scripts/install.js` and `scripts/deps-constants.js` of `@tensorflow/tfjs-node` 4.22.0.
 * Google publishes no checksums. Those here are what independent projects recorded of the same
 * archives: graft's Bazel file (the x86-64 ones) and nixpkgs (all but the GPU's).
 */
import { EngineError } from "../engine.ts";
import type { DeviceKind } from "./_installation.ts";

/** One archive. */
export interface OfficialArchive {
  readonly url: string;
  readonly version: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

const HOST = "https://storage.googleapis.com/";

/** By kind, system and architecture: path at the host, version, SHA-256. */
const ARCHIVES: Readonly<Record<string, readonly [string, string, string]>> = {
  "cpu-linux-x86_64": [
    "tensorflow/libtensorflow/libtensorflow-cpu-linux-x86_64-2.9.1.tar.gz",
    "2.9.1",
    "7f510d2546e3db5e10b1d119463689003d587842892ad3c95bca51cf82820173",
  ],
  "gpu-linux-x86_64": [
    "tensorflow/libtensorflow/libtensorflow-gpu-linux-x86_64-2.9.1.tar.gz",
    "2.9.1",
    "20c46f761d5905f592c4eac0812e8e50d9cb439f9440a9391912cf4c02ed8be8",
  ],
  "cpu-darwin-x86_64": [
    "tensorflow/libtensorflow/libtensorflow-cpu-darwin-x86_64-2.9.1.tar.gz",
    "2.9.1",
    "56f83d3320ba0f69aaafd6c058645e1b7fbc75fb9a3fc36d6be98de1291ca226",
  ],
  "cpu-linux-aarch64": [
    "tf-builds/libtensorflow_r2_7_linux_arm64.tar.gz",
    "2.7.0",
    "9395d1ff39f5b6847f5121e679ff4e599dc7061a2a7f87ceac061c78e908e6e3",
  ],
  "cpu-darwin-aarch64": [
    "tf-builds/libtensorflow_r2_7_darwin_arm64_cpu.tar.gz",
    "2.7.0",
    "13ab22b97e2af06e431aaeb7b42fb89981965dd01aa16da035d8210aa4183d79",
  ],
};

/**
 * The archive for a machine.
 *
 * @param host In place of Google's storage: what `TFJS_NODE_CDN_STORAGE` says.
 * @throws {EngineError} If there is none for it.
 */
export function officialArchive(
  kind: DeviceKind,
  host: string = HOST,
  { os, arch }: { os: string; arch: string } = Deno.build,
): OfficialArchive {
  const found = ARCHIVES[`${kind}-${os}-${arch}`];
  if (!found) {
    throw new EngineError(
      `looking for the packages' own libtensorflow: there is one for ${
        Object.keys(ARCHIVES).join(", ")
      }, none for ${kind}-${os}-${arch}; try --from wheel`,
    );
  }
  const [path, version, sha256] = found;
  return { url: `${host.replace(/\/*$/, "/")}${path}`, version, sha256 };
}
