import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { download, type DownloadOptions } from "./download.ts";
import { cacheFolder } from "./cache.ts";
import { FileError } from "./errors.ts";
import { sha256 } from "./sha256.ts";
import { testWithPermissions, withFolder } from "../testing/files/mod.ts";

const FILES = ["read", "write"] as const;
const CONTENT = Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >> 5);

/** What a server does with one request; answers are used up in order, the last one repeats. */
type Answer = (request: Request) => Response | Promise<Response>;

/** The options of a download from a made-up server, and the requests that it got. */
function serverOf(folder: string, ...answers: Answer[]) {
  const ranges: (string | null)[] = [];
  const options: DownloadOptions = {
    url: "https://example.invalid/file",
    path: `${folder}/cache/file`,
    bytes: CONTENT.length,
    sha256: sha256(CONTENT),
    fetch: async (input, init) => {
      const request = new Request(input, init);
      ranges.push(request.headers.get("Range"));
      return await answers[Math.min(ranges.length, answers.length) - 1](request);
    },
  };
  return { options, ranges };
}

/** Brings the bytes, then ends or breaks the connection. */
function body(bytes: Uint8Array, breaks = false): ReadableStream<Uint8Array> {
  let sent = false;
  return new ReadableStream({
    pull(controller) {
      if (!sent) controller.enqueue(bytes);
      else if (breaks) controller.error(new TypeError("connection reset"));
      else controller.close();
      sent = true;
    },
  });
}

const start = (request: Request) =>
  Number(/^bytes=(\d+)-$/.exec(request.headers.get("Range") ?? "bytes=0-")?.[1]);
const partial = (from: number, bytes: Uint8Array, breaks = false) =>
  new Response(body(bytes, breaks), {
    status: 206,
    headers: { "Content-Range": `bytes ${from}-${CONTENT.length - 1}/${CONTENT.length}` },
  });

const whole: Answer = () => new Response(body(CONTENT));
const breaking = (after: number): Answer => () =>
  new Response(body(CONTENT.subarray(0, after), true));
const resuming: Answer = (request) => partial(start(request), CONTENT.subarray(start(request)));

async function arrived({ path }: DownloadOptions): Promise<void> {
  assertEquals(sha256(await Deno.readFile(path)), sha256(CONTENT));
  await assertRejects(() => Deno.stat(`${path}.part`), Deno.errors.NotFound);
}

async function fails(options: DownloadOptions, ...words: string[]): Promise<void> {
  const error = await assertRejects(() => download(options), FileError);
  for (const word of [options.url, ...words]) assertStringIncludes(error.message, word);
  await assertRejects(() => Deno.stat(options.path), Deno.errors.NotFound);
}

const partSize = async ({ path }: DownloadOptions) => (await Deno.stat(`${path}.part`)).size;

testWithPermissions(
  FILES,
  "a download arrives whole, with progress to its end",
  () =>
    withFolder(async (folder) => {
      const { options } = serverOf(folder, whole);
      const seen: number[] = [];
      await download({
        ...options,
        onProgress: ({ received, total }) => seen.push(received, total),
      });
      await arrived(options);
      assertEquals(seen.slice(-2), [CONTENT.length, CONTENT.length]);
    }),
);

testWithPermissions(
  FILES,
  "a broken connection is resumed with a range",
  () =>
    withFolder(async (folder) => {
      const { options, ranges } = serverOf(folder, breaking(100_000), resuming);
      await download(options);
      await arrived(options);
      assertEquals(ranges, [null, "bytes=100000-"]);
    }),
);

testWithPermissions(
  FILES,
  "a later call goes on from the part file",
  () =>
    withFolder(async (folder) => {
      const unreachable: Answer = () => Promise.reject(new TypeError("no route to host"));
      const first = serverOf(folder, breaking(70_000), unreachable);
      await fails(first.options, "stopped after 70000 of 300000 bytes (no route to host)");
      assertEquals(await partSize(first.options), 70_000);
      const second = serverOf(folder, resuming);
      await download(second.options);
      await arrived(second.options);
      assertEquals(second.ranges, ["bytes=70000-"]);
    }),
);

testWithPermissions(
  FILES,
  "a server that ignores the range sends all of it again",
  () =>
    withFolder(async (folder) => {
      const { options, ranges } = serverOf(folder, breaking(100_000), whole);
      await download(options);
      await arrived(options);
      assertEquals(ranges, [null, "bytes=100000-"]);
    }),
);

testWithPermissions(
  FILES,
  "another range than asked for, or none, starts from zero",
  () =>
    withFolder(async (folder) => {
      const shifted: Answer = () => partial(7, CONTENT.subarray(7));
      const none: Answer = () => new Response("no such range", { status: 416 });
      for (const answer of [shifted, none]) {
        const { options, ranges } = serverOf(folder, breaking(100_000), answer, whole);
        await download(options);
        await arrived(options);
        assertEquals(ranges, [null, "bytes=100000-", null]);
        await Deno.remove(options.path);
      }
    }),
);

testWithPermissions(
  FILES,
  "a server that closes early is an error, and the part stays",
  () =>
    withFolder(async (folder) => {
      const short: Answer = (request) =>
        start(request) === 0
          ? new Response(body(CONTENT.subarray(0, 50_000)))
          : partial(start(request), new Uint8Array(0));
      const { options, ranges } = serverOf(folder, short);
      await fails(options, "stopped after 50000 of 300000 bytes", "closed the connection");
      assertEquals(await partSize(options), 50_000);
      assertEquals(ranges.length, 2);
    }),
);

testWithPermissions(
  FILES,
  "a wrong checksum is an error, and the part is emptied",
  () =>
    withFolder(async (folder) => {
      const altered = CONTENT.slice();
      altered[1234] ^= 1;
      const { options } = serverOf(folder, () => new Response(body(altered)));
      await fails(options, sha256(CONTENT), sha256(altered), "discarded");
      assertEquals(await partSize(options), 0);
    }),
);

testWithPermissions(
  FILES,
  "more bytes than stated are an error, and the part is emptied",
  () =>
    withFolder(async (folder) => {
      const { options } = serverOf(folder, () => new Response(body(new Uint8Array(300_001))));
      await fails(options, "300000 bytes", "sends more");
      assertEquals(await partSize(options), 0);
    }),
);

testWithPermissions(
  FILES,
  "a stale part file that is too long is replaced",
  () =>
    withFolder(async (folder) => {
      const { options, ranges } = serverOf(folder, whole);
      await Deno.mkdir(`${folder}/cache`);
      await Deno.writeFile(`${options.path}.part`, new Uint8Array(300_001));
      await download(options);
      await arrived(options);
      assertEquals(ranges, [null]);
    }),
);

testWithPermissions(
  FILES,
  "an error status is an error, also when resuming",
  () =>
    withFolder(async (folder) => {
      const missing: Answer = () => new Response("no", { status: 404, statusText: "Not Found" });
      await fails(serverOf(folder, missing).options, "404 Not Found");
      const { options } = serverOf(folder, breaking(9), () => new Response(null, { status: 503 }));
      await fails(options, "503");
      assertEquals(await partSize(options), 9);
    }),
);

testWithPermissions(
  FILES,
  "a server that stops sending counts as gone",
  () =>
    withFolder(async (folder) => {
      const silent: Answer = (request) =>
        new Response(
          new ReadableStream({
            start(controller) {
              request.signal.addEventListener(
                "abort",
                () => controller.error(request.signal.reason),
              );
            },
          }),
        );
      const { options } = serverOf(folder, silent);
      await fails({ ...options, stallTimeout: 20 }, "no bytes for 0.02 s");
    }),
);

testWithPermissions(
  FILES,
  "a file that another process finished meanwhile is taken as it is, another part is begun anew",
  () =>
    withFolder(async (folder) => {
      const { options, ranges } = serverOf(folder, whole);
      const part = `${options.path}.part`;
      await Deno.mkdir(`${folder}/cache`);
      for (const [content, requests] of [[CONTENT, 0], [CONTENT.subarray(0, 9), 1]] as const) {
        await Deno.writeFile(part, content);
        const other = await Deno.open(part, { read: true, write: true });
        await other.lock(true);
        const waiting = download(options);
        await new Promise((resolve) => setTimeout(resolve, 200)); // By then it waits for the lock.
        await Deno.rename(part, options.path);
        other.close();
        await waiting;
        await arrived(options);
        assertEquals(ranges.length, requests);
      }
    }),
);

Deno.test("the cache folder is RESNET_CACHE, or the system's for the user", () => {
  const at = (os: typeof Deno.build.os, variables: Record<string, string>) =>
    cacheFolder({ os, get: (name) => variables[name] });
  const HOME = "/home/u";
  assertEquals(at("linux", { HOME, RESNET_CACHE: "/big/disk" }), "/big/disk");
  assertEquals(at("linux", { HOME }), "/home/u/.cache/resnet-cifar");
  assertEquals(at("linux", { HOME, XDG_CACHE_HOME: "/x" }), "/x/resnet-cifar");
  assertEquals(at("linux", { HOME, XDG_CACHE_HOME: "relative" }), "/home/u/.cache/resnet-cifar");
  assertEquals(at("darwin", { HOME }), "/home/u/Library/Caches/resnet-cifar");
  assertEquals(at("windows", { LOCALAPPDATA: "C:/L" }), "C:/L/resnet-cifar");
});

Deno.test("no cache folder is an error that names the variables", async () => {
  const error = await assertRejects(
    () => Promise.resolve().then(() => cacheFolder({ os: "linux", get: () => undefined })),
    FileError,
  );
  assertStringIncludes(error.message, "RESNET_CACHE, XDG_CACHE_HOME, HOME");
});
