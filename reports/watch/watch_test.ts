import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { fixtureFolder, textOf } from "../../testing/runs/mod.ts";
import { watchHandler } from "./mod.ts";
import { Logs } from "./logs.ts";

const files = await Promise.all(
  (["read", "write"] as const).map((name) => Deno.permissions.query({ name })),
);

/** A test in a folder with a finished run, one under way and a recording. */
function testWatching(
  name: string,
  body: (folder: string, get: (path: string) => Promise<Response>) => Promise<void>,
): void {
  Deno.test({
    name: `${name} (needs --allow-read --allow-write)`,
    ignore: files.some(({ state }) => state !== "granted"),
    async fn() {
      const folder = await Deno.makeTempDir();
      try {
        const write = async (run: string, name: string, text: string) => {
          await Deno.mkdir(`${folder}/${run}`, { recursive: true });
          await Deno.writeTextFile(`${folder}/${run}/${name}`, text);
        };
        const short = { iterations: 400, logEvery: 20, samples: false } as const;
        const over = await fixtureFolder({ ...short, seed: 1 });
        for (const name of ["events.jsonl", "predictions.csv"]) {
          await write("job/runs/over", name, textOf(over, name));
        }
        await write("job/runs/over", "secret.txt", "not for the page");
        const under = textOf(
          await fixtureFolder({ ...short, seed: 2, architecture: "resnet20", ending: "none" }),
          "events.jsonl",
        );
        // As a writer leaves it: the last line may not be whole.
        await write("under-way", "events.jsonl", under + '{"type":"st');
        await write(
          "theirs",
          "recording.jsonl",
          '{"type":"start","version":1,"script":{"name":"train.py"},"stopAfter":60}\n' +
            '{"type":"step","iteration":10,"loss":2.3,"error":0.9,"imagesPerSecond":50}\n',
        );
        const handler = watchHandler(folder, ["localhost:1"]);
        await body(folder, (path) => handler(new Request(`http://localhost:1${path}`)));
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

testWatching("runs and recordings are listed with their state, and filtered", async (_, get) => {
  const list = async (words: string) => await (await get(`/runs?${words}`)).text();
  const all = await list("");
  for (const name of ["job/runs/over", "under-way", "theirs"]) assertStringIncludes(all, name);
  assertMatch(all, /over<\/th><td>finished<\/td><td>ResNet-32/);
  assertMatch(all, /under-way<\/th><td>running<\/td><td>ResNet-20/);
  assertMatch(all, /theirs<\/th><td>running<\/td><td>train\.py/);
  assertStringIncludes(await list("filter=resnet20"), "1 of 3");
  assertStringIncludes(await list("state=finished"), "1 of 3");
  assertStringIncludes(await list("filter=resnet20%20recording"), "0 of 3");
});

testWatching("a log that grows is read on from where it ended", async (folder, get) => {
  const compare = async () => await (await get("/compare?run=theirs")).text();
  assertStringIncludes(await compare(), "90 at 10");
  const log = `${folder}/theirs/recording.jsonl`;
  const add = (text: string) => Deno.writeTextFile(log, text, { append: true });
  await add('{"type":"step","iteration":20,"loss":2.1,"er');
  await new Promise((resolve) => setTimeout(resolve, 600));
  assertStringIncludes(await compare(), "90 at 10");
  await add('ror":0.5,"imagesPerSecond":50}\n');
  await new Promise((resolve) => setTimeout(resolve, 600));
  assertStringIncludes(await compare(), "50 at 20");
});

testWatching(
  "a clock that is set back or ahead keeps no run from being seen",
  async (folder, get) => {
    const list = async () => await (await get("/runs")).text();
    const { now } = Date;
    try {
      for (const hours of [-9000, 9000]) {
        assertMatch(await list(), /under-way<\/th><td>running</);
        Date.now = () => now() + 3_600_000 * hours;
        await new Promise((resolve) => setTimeout(resolve, 600));
        // Nobody has written since the clock was set, and nobody may for a year.
        assertMatch(await list(), /under-way<\/th><td>broken off</);
        const at = new Date(Date.now());
        await Deno.utime(`${folder}/under-way/events.jsonl`, at, at);
        await Deno.writeTextFile(`${folder}/under-way/events.jsonl`, "ep", { append: true });
        await Deno.utime(`${folder}/under-way/events.jsonl`, at, at);
        await new Promise((resolve) => setTimeout(resolve, 600));
        assertMatch(await list(), /under-way<\/th><td>running</);
        Date.now = now;
        const then = new Date(now());
        await Deno.utime(`${folder}/under-way/events.jsonl`, then, then);
        await Deno.writeTextFile(`${folder}/under-way/events.jsonl`, "x", { append: true });
        await new Promise((resolve) => setTimeout(resolve, 600));
      }
    } finally {
      Date.now = now;
    }
  },
);

testWatching("runs on one axis, with what differs between their recipes", async (_, get) => {
  const html = await (await get("/compare?run=job/runs/over&run=under-way")).text();
  assertStringIncludes(html, "2 runs on one axis");
  assertMatch(
    html,
    /architecture\.name<\/code><\/th><td>resnet32<\/td><td>resnet20|architecture\.name<\/code><\/th><td>resnet20<\/td><td>resnet32/,
  );
  assertFalse(html.includes("data.set</code>"), "an equal field is named");
});

testWatching("of a run that is over stands what the checklist says", async (_, get) => {
  const html = await (await get("/compare?run=job/runs/over&run=under-way&run=theirs")).text();
  assertMatch(html, /over<\/code><\/t[hd]><td[^>]*>\d+<\/td><td[^>]*>\d+<\/td><td[^>]*>\d+<\/td>/);
  assertStringIncludes(html, "iterations, ");
  assertFalse(/under-way<\/code><\/t[hd]><td[^>]*>\d+/.test(html), "a run under way is judged");
});

testWatching("several folders on one page, told apart by their names", async (folder, get) => {
  await Deno.mkdir(`${folder}/job/runs/long`);
  const over = await Deno.readTextFile(`${folder}/job/runs/over/events.jsonl`);
  // A first line may be longer than what is read at once.
  const long = over.replace("{", `{"note":"${"x".repeat(100_000)}",`);
  await Deno.writeTextFile(`${folder}/job/runs/long/events.jsonl`, long);
  const handler = watchHandler([`${folder}/job`, `${folder}/theirs`], ["localhost:1"]);
  const text = async (path: string) =>
    await (await handler(new Request(`http://localhost:1${path}`))).text();
  const html = await text("/runs");
  assertStringIncludes(html, "3 of 3");
  const name = folder.slice(1);
  for (const id of ["job/runs/over", "job/runs/long", "theirs"]) {
    assertStringIncludes(html, `${name}/${id}</th>`);
  }
  assertFalse(html.includes("<td>?</td>"), html);
  assertEquals(await text(`/file/${name}/job/runs/over/events.jsonl`), over);
  assertStringIncludes(await text(`/compare?run=${name}/theirs`), "90 at 10");
  assertEquals((await get(`/file/${name}/job/runs/over/events.jsonl`)).status, 404);
});

testWatching("nothing but the listed files of found folders is served", async (folder, get) => {
  const served = await get("/file/job/runs/over/events.jsonl");
  assertEquals(served.status, 200);
  await served.body?.cancel();
  await Deno.symlink("/etc/passwd", `${folder}/theirs/report.html`);
  for (
    const path of [
      "/file/job/runs/over/secret.txt",
      "/file/job/events.jsonl",
      "/file/..%2f..%2fetc/passwd",
      "/file/%2e%2e/events.jsonl",
      "/file/theirs/report.html",
      "/file/%/events.jsonl",
      "/elsewhere",
    ]
  ) {
    const answer = await get(path);
    assert(answer.status >= 400, `${path}: ${answer.status}`);
    await answer.body?.cancel();
  }
});

testWatching(
  "the page is for its own host, is read alone, and requests nothing from outside",
  async (folder, get) => {
    const handler = watchHandler(folder, ["localhost:1"]);
    assertEquals((await handler(new Request("http://evil.example/runs"))).status, 403);
    const post = new Request("http://localhost:1/runs", { method: "POST" });
    assertEquals((await handler(post)).status, 405);
    const answer = await get("/");
    assertMatch(answer.headers.get("Content-Security-Policy")!, /^default-src 'none'/);
    const html = await answer.text();
    for (const [, address] of html.matchAll(/(?:src|href)="([^"]*)"/g)) {
      assertEquals(address, "/client.js");
    }
  },
);

testWatching("names from logs become no markup", async (folder, get) => {
  const hostile = `<img src=x onerror="a()">`;
  await Deno.writeTextFile(
    `${folder}/theirs/recording.jsonl`,
    JSON.stringify({ type: "start", script: { name: hostile }, recipe: { name: hostile } }) + "\n",
  );
  for (const path of ["/runs", "/compare?run=theirs"]) {
    assertFalse((await (await get(path)).text()).includes("<img"), path);
  }
});

/** The lines of a run of 400 steps, each with its end. */
const linesOf = async (options: Parameters<typeof fixtureFolder>[0]) =>
  textOf(
    await fixtureFolder({ iterations: 400, logEvery: 20, samples: false, ...options }),
    "events.jsonl",
  ).trimEnd().split("\n").map((line) => `${line}\n`);

testWatching(
  "a run that goes on stands where it goes on, without what that takes back",
  async (folder) => {
    const lines = await linesOf({ ending: "none", resumed: true });
    const at = lines.findIndex((line) => line.includes('"type":"resume"'));
    const write = (lines: readonly string[]) =>
      Deno.writeTextFile(`${folder}/under-way/events.jsonl`, lines.join(""));
    const logs = new Logs(folder);
    const look = async () => {
      await logs.look();
      const { training, validation } = await logs.curvesOf("under-way");
      const { iteration, secondsLeft } = logs.get("under-way")!;
      return { iteration, secondsLeft, ends: [training.at(-1)![0], validation.at(-1)![0]] };
    };
    await write(lines.slice(0, at));
    const before = await look();
    assertEquals([before.iteration, ...before.ends], [300, 300, 280]);
    await write(lines.slice(0, at + 1));
    const resumed = await look();
    assertEquals([resumed.iteration, ...resumed.ends], [200, 200, 200]);
    assert(resumed.secondsLeft! > before.secondsLeft!);
  },
);

testWatching("a log in the place of another is read anew", async (folder) => {
  const log = `${folder}/under-way/events.jsonl`;
  const logs = new Logs(folder);
  await logs.look();
  assertEquals((await logs.curvesOf("under-way")).training.at(-1)![0], 360);
  const other = await linesOf({
    architecture: "resnet56",
    ending: "none",
    iterations: 800,
    seed: 3,
  });
  const longer = other.join("");
  assert(longer.length > (await Deno.stat(log)).size);
  await Deno.writeTextFile(log, longer);
  const now = (await logs.look()).find(({ id }) => id === "under-way");
  assertEquals([now?.network, now?.iterations, now?.iteration], ["resnet56", 800, 720]);
  assertEquals((await logs.curvesOf("under-way")).training.map(([at]) => at), [
    ...Array.from({ length: 36 }, (_, i) => 20 * (i + 1)),
  ]);
  assertEquals(logs.fieldsOf("under-way").get("architecture.name"), "resnet56");
});

testWatching("the last errors are known however many lines follow them", async (folder) => {
  const log = `${folder}/under-way/events.jsonl`;
  const lines = await linesOf({ ending: "none" });
  const [warning] = lines.filter((line) => line.includes('"type":"warning"'));
  const many = warning.repeat(Math.ceil(40_000 / warning.length));
  await Deno.writeTextFile(log, lines.join("") + many);
  const logs = new Logs(folder);
  const seen = async () => {
    const { training, validation, iteration } = (await logs.look())
      .find(({ id }) => id === "under-way")!;
    return [training === undefined, validation === undefined, iteration];
  };
  assertEquals(await seen(), [false, false, 360]);
  await Deno.writeTextFile(log, many, { append: true });
  assertEquals(await seen(), [false, false, 360]);
});

testWatching("two pages that ask at once lose no line", async (folder) => {
  const logs = new Logs(folder);
  const log = `${folder}/theirs/recording.jsonl`;
  const places = async () => {
    await logs.look();
    const [one, other] = await Promise.all([logs.curvesOf("theirs"), logs.curvesOf("theirs")]);
    assertEquals(one, other);
    return one.loss.map(([at]) => at);
  };
  assertEquals(await places(), [10]);
  for (const iteration of [20, 30, 40]) {
    const line = JSON.stringify({ type: "step", iteration, loss: 2 }) + "\n";
    await Deno.writeTextFile(log, line, { append: true });
  }
  assertEquals(await places(), [10, 20, 30, 40]);
});

testWatching(
  "a slow training is not said to be broken off between two of its lines",
  async (folder) => {
    const log = `${folder}/under-way/events.jsonl`;
    const slow = (await linesOf({ ending: "none" })).map((line) => {
      const event = JSON.parse(line);
      // 2,560 images a line: two minutes.
      return JSON.stringify(event.type === "step" ? { ...event, imagesPerSecond: 21 } : event) +
        "\n";
    });
    await Deno.writeTextFile(log, slow.join(""));
    const state = async (seconds: number) => {
      const then = new Date(Date.now() - 1000 * seconds);
      await Deno.utime(log, then, then);
      return (await new Logs(folder).look()).find(({ id }) => id === "under-way")?.state;
    };
    assertEquals([await state(150), await state(600)], ["running", "broken off"]);
  },
);

testWatching("runs that are called alike are told apart in a drawing", async (folder, get) => {
  await Deno.mkdir(`${folder}/other/over`, { recursive: true });
  await Deno.writeTextFile(
    `${folder}/other/over/events.jsonl`,
    (await linesOf({ seed: 5 })).join(""),
  );
  const html = await (await get("/compare?run=job/runs/over&run=other/over")).text();
  const [, legend] = /<ul class="legend">(.*?)<\/ul>/s.exec(html)!;
  assertEquals([...legend.matchAll(/<li[^>]*>(.*?)<\/li>/g)].map(([, name]) => name).sort(), [
    ...["other/over", "runs/over"],
  ]);
  // Two folders that are called alike, as well.
  const all = await new Logs(`${folder}/other`, `${folder}/./other`).look();
  assertEquals(all.length, 2);
});

testWatching("an address without its port is that of port 80", async (folder) => {
  const handler = watchHandler(folder, ["localhost:80"]);
  const status = async (url: string) => (await handler(new Request(url))).status;
  assertEquals(await status("http://localhost:80/client.js"), 200);
  assertEquals(await status("http://localhost:81/client.js"), 403);
});

testWatching("what is no log, or a broken one, is passed over", async (folder) => {
  await Deno.mkdir(`${folder}/broken`);
  await Deno.writeTextFile(`${folder}/broken/events.jsonl`, "null\n[1]\nnot json\n{}\n");
  const logs = new Logs(folder);
  const broken = (await logs.look()).find(({ id }) => id === "broken");
  assertEquals([broken?.network, broken?.iteration], ["?", 0]);
  assertEquals((await logs.curvesOf("broken")).training, []);
});
