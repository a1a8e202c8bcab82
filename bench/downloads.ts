/**
 * What each command fetches where nothing is cached: `deno task bench:downloads`.
 *
 * Every command runs with an empty cache of its own, behind a proxy on the loopback that counts
 * what comes through. It ends with an error where a command fetches more than its goal, so that a
 * new dependency is noticed. Bytes of the network are what people wait for; those on the disk,
 * unpacked, are printed beside them.
 */
import { table } from "./_table.ts";

/** Megabytes of the network, at most. */
const GOALS: readonly (readonly [command: string, ...args: (string | number)[]])[] = [
  ["summary", 10, "task", "summary", "--arch", "resnet20"],
  ["conformance", 10, "test", "--no-run", "spec/"],
  ["train", 60, "task", "train", "--help"],
  ["demo", 60, "task", "demo", "--help"],
  ["audit", 60, "task", "audit", "--help"],
  ["report", 60, "task", "report", "--help"],
  ["watch", 60, "task", "watch", "--help"],
  ["web", 60, "task", "web:build", "--help"],
];

/** A proxy that connects to any host and counts what it passes on towards the client. */
class CountingProxy implements Disposable {
  /** Bytes since it began. */
  bytes = 0;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  constructor() {
    this.#serve();
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }

  async #serve(): Promise<void> {
    for await (const client of this.#listener) this.#pass(client).catch(() => client.close());
  }

  async #pass(client: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(4096);
    const length = await client.read(buffer) ?? 0;
    const request = new TextDecoder().decode(buffer.subarray(0, length));
    const target = /^CONNECT ([^\s:]+):(\d+) /.exec(request);
    if (!target) throw new Error(`a proxy for CONNECT alone, found ${request.split("\r\n")[0]}`);
    const server = await Deno.connect({ hostname: target[1], port: Number(target[2]) });
    await client.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n"));
    const count = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (part, out) => {
        this.bytes += part.length;
        out.enqueue(part);
      },
    });
    await Promise.allSettled([
      client.readable.pipeTo(server.writable),
      server.readable.pipeThrough(count).pipeTo(client.writable),
    ]);
  }
}

/** Bytes of a folder's files. */
async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    bytes += isDirectory ? await sizeOf(path) : (await Deno.stat(path)).size;
  }
  return bytes;
}

const root = new URL("..", import.meta.url);
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
const rows: string[][] = [];
let status = 0;
for (const [command, goal, ...args] of GOALS) {
  using proxy = new CountingProxy();
  const cache = await Deno.makeTempDir({ prefix: "downloads-" });
  try {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: args.map(String),
      cwd: root,
      env: { DENO_DIR: cache, HTTPS_PROXY: proxy.url, NO_COLOR: "1" },
    }).output();
    if (!success) throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
    const kept = proxy.bytes <= Number(goal) * 1e6;
    if (!kept) status = 1;
    const goalText = `${goal} MB${kept ? "" : " (more)"}`;
    rows.push([
      command,
      `${megabytes(proxy.bytes)} MB`,
      goalText,
      `${megabytes(await sizeOf(cache))} MB`,
    ]);
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}
console.log(table([["command", "fetched", "at most", "cache on the disk"], ...rows]));
Deno.exit(status);
