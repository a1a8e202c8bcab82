import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EngineError } from "../engine.ts";
import { loadPackage } from "../tfjs/packages/mod.ts";
import { cudaRequirement } from "./_cuda.ts";
import { locateLibrary } from "./_library.ts";
import { officialArchive } from "./_official.ts";
import { parseCudaWheels } from "./_provision.ts";

const LINUX = { os: "linux", arch: "x86_64" };

Deno.test("the archive is the one of the packages' install script", async () => {
  const { LIBTENSORFLOW_VERSION } = await loadPackage<{ LIBTENSORFLOW_VERSION: string }>(
    "@tensorflow/tfjs-node-gpu",
    "/scripts/deps-constants.js",
  );
  const { url, version } = officialArchive("gpu", undefined, LINUX);
  assertEquals(version, LIBTENSORFLOW_VERSION);
  assertEquals(
    url,
    `https://storage.googleapis.com/tensorflow/libtensorflow/libtensorflow-gpu-linux-x86_64-${LIBTENSORFLOW_VERSION}.tar.gz`,
  );
  assertEquals(
    officialArchive("cpu", "https://mirror", LINUX).url,
    `https://mirror/tensorflow/libtensorflow/libtensorflow-cpu-linux-x86_64-${LIBTENSORFLOW_VERSION}.tar.gz`,
  );
});

Deno.test("a machine without an archive is told which there are", () => {
  assertThrows(
    () => officialArchive("gpu", undefined, { os: "darwin", arch: "aarch64" }),
    EngineError,
    "none for gpu-darwin-aarch64; try --from wheel",
  );
});

Deno.test("NVIDIA's wheels are read from a wheel's metadata as TensorFlow wrote it over the years", () => {
  // Lines of the wheels 2.14.1, 2.16.2 and 2.21.0.
  const metadata = `Requires-Dist: numpy >=1.23.5
Requires-Dist: nvidia-cudnn-cu11 (==8.7.0.84) ; extra == 'and-cuda'
Requires-Dist: nvidia-cudnn-cu12 ==8.9.7.29 ; extra == 'and-cuda'
Requires-Dist: nvidia-cublas-cu12<13.0,>=12.5.3.2; extra == "and-cuda"
Requires-Dist: nvidia-cuda-nvcc-cu12<13.0,>=12.5.82; extra == "and-cuda"
Requires-Dist: nvidia-other-cu12<13.0; extra == "something-else"
`;
  assertEquals(parseCudaWheels(metadata), [
    ["nvidia-cudnn-cu11", "==8.7.0.84"],
    ["nvidia-cudnn-cu12", "==8.9.7.29"],
    ["nvidia-cublas-cu12", "<13.0,>=12.5.3.2"],
  ]);
});

Deno.test("each TensorFlow wants the CUDA that its wheel names", () => {
  // cuda_version and cudnn_version of build_info.py in the wheels for the GPU.
  const named: readonly [string, string, string][] = [
    ["2.9.1", "11.2", "8"],
    ["2.11.1", "11.2", "8"],
    ["2.12.1", "11.8", "8"],
    ["2.14.1", "11.8", "8"],
    ["2.15.1", "12.2", "8"],
    ["2.16.2", "12.3", "8"],
    ["2.17.1", "12.3", "8"],
    ["2.18.1", "12.5", "9"],
    ["2.21.0", "12.5", "9"],
  ];
  for (const [version, cuda, cudnn] of named) {
    const wanted = cudaRequirement(version);
    assertEquals([wanted.cuda, wanted.cudnn.split(".")[0]], [cuda, cudnn], version);
    assertEquals(wanted.libraries.filter((name) => name.startsWith("libcudnn.")), [
      `libcudnn.so.${cudnn}`,
    ]);
    assertEquals(wanted.libraries.filter((name) => name.startsWith("libcublas.")), [
      `libcublas.so.${cuda.split(".")[0]}`,
    ]);
  }
});

Deno.test("a library is found as Google's archive, Python's package and its folder lay it out", async (t) => {
  const suffix = Deno.build.os === "darwin" ? ".2.dylib" : ".so.2";
  const header = "tensorflow/c/c_api.h";
  const layouts: Record<string, readonly [string, string, string]> = {
    archive: [`lib/libtensorflow${suffix}`, `lib/libtensorflow_framework${suffix}`, "include"],
    package: [`libtensorflow_cc${suffix}`, `libtensorflow_framework${suffix}`, "include"],
    "site-packages": [
      `tensorflow/libtensorflow_cc${suffix}`,
      `tensorflow/libtensorflow_framework${suffix}`,
      "tensorflow/include",
    ],
  };
  for (const [name, [library, framework, include]] of Object.entries(layouts)) {
    await t.step(name, async () => {
      const folder = await Deno.makeTempDir();
      try {
        const missing = [library, framework, `${include}/${header}`];
        const complaints = ["the C library", "its second half", "its header"];
        for (const [i, path] of missing.entries()) {
          await assertRejects(() => locateLibrary(folder), EngineError, complaints[i]);
          const file = `${folder}/${path}`;
          await Deno.mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
          await Deno.writeTextFile(file, "");
        }
        const found = await locateLibrary(folder);
        assertEquals(found.headers, `${folder}/${include}`);
        assertEquals(found.files.map((file) => file.replace("/./", "/")), [
          `${folder}/${framework}`,
          `${folder}/${library}`,
        ]);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    });
  }
});
