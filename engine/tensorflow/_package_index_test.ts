import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { EngineError } from "../engine.ts";
import { compareVersions, indexUrl, satisfies, versionFor, wheelsOf } from "./_package_index.ts";

const HASH = "0123456789abcdef".repeat(4);

Deno.test("the index is pip's: variable, then configuration files in turn, then pypi.org", async () => {
  const files: Record<string, string> = {
    "/home/me/.config/pip/pip.conf": "[freeze]\nindex-url = https://wrong/\n[global]\n" +
      "timeout = 60\nindex-url = https://mirror/simple/\n",
    "/etc/pip.conf": "[install]\nindex_url: https://second/simple\n",
  };
  const urlFor = (variables: Record<string, string>) =>
    indexUrl((name) => variables[name], (path) => Promise.resolve(files[path]));
  assertEquals(await urlFor({}), "https://second/simple");
  assertEquals(await urlFor({ HOME: "/home/me" }), "https://mirror/simple");
  assertEquals(await urlFor({ HOME: "/home/me", PIP_INDEX_URL: "https://mine/" }), "https://mine");
  delete files["/etc/pip.conf"];
  assertEquals(await urlFor({}), "https://pypi.org/simple");
});

/** Serves one page for the time of a test. */
async function withPage<T>(
  type: string,
  page: string,
  status: number,
  use: (index: string) => Promise<T>,
): Promise<T> {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ({ url }) =>
      new URL(url).pathname === "/simple/tensorflow/"
        ? new Response(page, { status, headers: { "Content-Type": type } })
        : new Response(null, { status: 404 }),
  );
  return await use(`http://127.0.0.1:${server.addr.port}/simple`);
}

Deno.test("wheels are read from an index in JSON and in HTML; yanked and unhashed ones are not", async () => {
  const file = (filename: string, more: object = {}) => ({
    filename,
    url: `../../files/${filename}`,
    hashes: { sha256: HASH },
    ...more,
  });
  const json = JSON.stringify({
    files: [
      file("tensorflow-2.21.0-cp313-cp313-manylinux_2_27_x86_64.whl"),
      file("tensorflow-2.20.0-cp313-cp313-manylinux_2_27_x86_64.whl", { yanked: "broken" }),
      file("tensorflow-2.19.0-cp313-cp313-manylinux_2_27_x86_64.whl", { hashes: {} }),
      file("tensorflow-0.12.0.tar.gz"),
    ],
  });
  const html = `<a href="../../files/tensorflow-2.21.0-cp313-cp313-manylinux_2_27_x86_64.whl` +
    `#sha256=${HASH}" data-requires-python="&gt;=3.9">\n ` +
    `tensorflow-2.21.0-cp313-cp313-manylinux_2_27_x86_64.whl</a><br>` +
    `<a href="../../files/old.whl">old.whl</a>`;
  for (const [type, page] of [["application/vnd.pypi.simple.v1+json", json], ["text/html", html]]) {
    await withPage(type, page, 200, async (index) => {
      assertEquals(await wheelsOf(index, "tensorflow"), [{
        name: "tensorflow-2.21.0-cp313-cp313-manylinux_2_27_x86_64.whl",
        url: `${
          index.slice(0, -"/simple".length)
        }/files/tensorflow-2.21.0-cp313-cp313-manylinux_2_27_x86_64.whl`,
        sha256: HASH,
      }]);
    });
  }
});

Deno.test("an index without the project is named with its answer", async () => {
  await withPage("text/html", "", 200, async (index) => {
    await assertRejects(
      () => wheelsOf(index, "tensorflow-cpu"),
      EngineError,
      `${index}/tensorflow-cpu/ answered 404`,
    );
  });
});

Deno.test("versions are compared by number and held against requirements", () => {
  const sorted = ["2.9.1", "2.21.0", "2.9", "2.10"].sort(compareVersions);
  assertEquals(sorted, ["2.9", "2.9.1", "2.10", "2.21.0"]);
  assertEquals(satisfies("12.9.4", "<13.0,>=12.5.3.2"), true);
  assertEquals(satisfies("13.0", "<13.0,>=12.5.3.2"), false);
  assertEquals(satisfies("12.5.3.1", "<13.0,>=12.5.3.2"), false);
  assertEquals(satisfies("9.3.0.75", "==9.3.0.75"), true);
  assertEquals(satisfies("9.3.0.76", "==9.3.0.75"), false);
  assertThrows(() => satisfies("1.0", "~=1.0"), EngineError, 'requirement "~=1.0"');
});

Deno.test("a wheel is taken for its own machine alone", () => {
  const LINUX = { os: "linux", arch: "x86_64" };
  const names: readonly [string, { os: string; arch: string }, string | undefined][] = [
    ["tensorflow_cpu-2.21.0-cp310-cp310-manylinux_2_27_x86_64.whl", LINUX, "2.21.0"],
    [
      "tensorflow-2.9.1-cp39-cp39-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
      LINUX,
      "2.9.1",
    ],
    ["nvidia_cudnn_cu12-9.3.0.75-py3-none-manylinux2014_x86_64.whl", LINUX, "9.3.0.75"],
    ["tensorflow-2.21.0-cp310-cp310-win_amd64.whl", LINUX, undefined],
    ["tensorflow-2.21.0rc1-cp310-cp310-manylinux_2_27_x86_64.whl", LINUX, undefined],
    ["tensorflow-2.21.0-cp310-cp310-macosx_12_0_arm64.whl", LINUX, undefined],
    [
      "tensorflow-2.21.0-cp310-cp310-macosx_12_0_arm64.whl",
      { os: "darwin", arch: "aarch64" },
      "2.21.0",
    ],
    [
      "tensorflow-2.19.0-cp310-cp310-manylinux_2_17_aarch64.whl",
      { os: "linux", arch: "aarch64" },
      "2.19.0",
    ],
  ];
  for (const [name, machine, version] of names) assertEquals(versionFor(name, machine), version);
});
