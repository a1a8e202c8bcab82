import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { FileError } from "../files/mod.ts";
import { testWithPermissions, tinyArchive, tinyFormat, withFolder } from "../testing/files/mod.ts";
import { loadCifar } from "./cifar.ts";

/** Where the client wants its bytes to begin. */
const start = (request: Request) =>
  Number(/^bytes=(\d+)-$/.exec(request.headers.get("Range") ?? "bytes=0-")?.[1]);

const FILES = ["read", "write"] as const;

testWithPermissions(
  ["read", "write", "net"],
  "from a real server: closed early, resumed, cached, then read without it",
  () =>
    withFolder(async (folder) => {
      const archive = await tinyArchive();
      let requests = 0;
      const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
        requests++;
        const from = start(request);
        if (from === 0) return new Response(archive.subarray(0, 5000));
        return new Response(archive.subarray(from), {
          status: 206,
          headers: { "Content-Range": `bytes ${from}-${archive.length - 1}/${archive.length}` },
        });
      });
      const format = tinyFormat(undefined, archive);
      const options = { cache: folder, url: `http://127.0.0.1:${server.addr.port}/tiny.tar.gz` };
      const { train } = await loadCifar(format, options);
      assertEquals([train.count, requests], [5, 2]);
      await server.shutdown();
      assertEquals((await loadCifar(format, options)).train, train);

      await Deno.writeFile(`${folder}/tiny.tar.gz`, archive.subarray(0, 5000));
      const error = await assertRejects(() => loadCifar(format, options), FileError);
      assertStringIncludes(error.message, `Delete ${folder}/tiny.tar.gz`);
    }),
);

testWithPermissions(
  FILES,
  "where the site can't be reached, the error names three ways on",
  () =>
    withFolder(async (folder) => {
      const unreachable = () => Promise.reject(new TypeError("dns error"));
      const error = await assertRejects(
        () => loadCifar(tinyFormat(), { cache: folder, fetch: unreachable }),
        FileError,
      );
      const words = ["dns error", "--data FOLDER", "--data ARCHIVE.tar.gz", "deno task demo"];
      for (const word of words) assertStringIncludes(error.message, word);
    }),
);

Deno.test({
  name: "no permission for the environment is an error that names the flag",
  permissions: { env: false },
  fn: async () => {
    const error = await assertRejects(() => loadCifar(tinyFormat()), FileError);
    assert(error.message.includes("--allow-env=RESNET_CACHE"), error.message);
  },
});
