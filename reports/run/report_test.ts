import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { OPEN_POINTS } from "../../paper/mod.ts";
import { parse } from "@std/csv";
import {
  fixtureFolder,
  type FixtureOptions,
  readerOf,
  setText,
  textOf as textIn,
} from "../../testing/runs/mod.ts";
import { readFolder } from "../../log/mod.ts";
import { CHECKLIST, checklistInWords } from "../../spec/mod.ts";
import { renderRunReport, type RunReport, writeRunReport } from "./report.ts";

async function reportOf(options: FixtureOptions): Promise<RunReport> {
  return renderRunReport(await readFolder("run", readerOf(await fixtureFolder(options))));
}

/** A page's text as a reader sees it, without markup, style and drawings. */
function textOf(html: string): string {
  return html
    .replace(/<style>.*?<\/style>|<svg.*?<\/svg>/gs, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ");
}

Deno.test("the page holds the result, the verdict and every section", async () => {
  const { html } = await reportOf({ iterations: 2000 });
  const text = textOf(html);
  for (
    const part of [
      "ResNet-32 on CIFAR-10",
      "7.51% test error, 95% interval 7.01% to 8.04%",
      "751 of 10,000 test images wrong",
      "Not the paper's run: the rate falls after 1,000 and 1,500 iterations",
      "2,000 iterations instead of 64,000",
      "Best validation error (not the result) 8.00% at iteration 1,800",
      "13 min 33 s",
      "464,154",
      "68.86 million",
      "0.1 at first; 0.01, first logged for iterations 1,001 to 1,020; 0.001, first logged for iterations 1,501 to 1,520.",
    ]
  ) assertStringIncludes(text, part);
  assertEquals([...html.matchAll(/<h2[^>]*>(.*?)<\/h2>/g)].map(([, title]) => title), [
    "Warnings and interruptions",
    "Training",
    "Classes",
    "Worst mistakes",
    "Augmented training images",
    "Layer responses",
    "Network",
    "Recipe",
    "The paper's checklist",
    "Provenance",
  ]);
});

Deno.test("the paper's own run is called that, and no other", async () => {
  const paper = textOf((await reportOf({ iterations: 64_000, logEvery: 800 })).html);
  assertStringIncludes(paper, "The paper's run:");
  assertFalse(paper.includes("Not the paper's run"));
});

Deno.test("built-in data is unmistakable, with its floor and the linear model", async () => {
  const text = textOf((await reportOf({ set: "shapes10" })).html);
  assertStringIncludes(text, "ResNet-32 on built-in images (not CIFAR-10)");
  assertStringIncludes(text, "Built-in images, not CIFAR-10. Procedural shapes.");
  assertMatch(text, /This network 7\.51% A linear model on the same images 31\.40%/);
  assertStringIncludes(text, "share of wrong test labels 2.00%");
  assertFalse(text.includes("Table 6"), "the paper's figure does not stand beside other data");
  assertFalse(textOf((await reportOf({})).html).includes("Built-in images"));
});

Deno.test("each point that the paper leaves open is there with its choice", async () => {
  const text = textOf((await reportOf({})).html);
  for (const { question, readings } of OPEN_POINTS) {
    assertStringIncludes(text, `${question} ${readings[0].reading}`);
  }
});

Deno.test("nothing that the log says becomes markup", async () => {
  const text = `<script>alert("x")</script><img src=x onerror='a()'>&amp;"'`;
  for (const ending of ["end", "stop"] as const) {
    const { html } = await reportOf({ ending, text, samples: false, resumed: true });
    assertStringIncludes(html, "&lt;script>");
    assertFalse(html.includes("<script"));
    assertFalse(html.includes("<img src=x"));
    assertStringIncludes(html, "&amp;amp;");
  }
});

Deno.test("the page asks for nothing from outside and runs nothing", async () => {
  const { html } = await reportOf({});
  assertStringIncludes(
    html,
    `content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"`,
  );
  const addresses = [...html.matchAll(/(?:src|href)="([^"]*)"|url\(([^)]*)\)/g)]
    .map(([, attribute, css]) => attribute ?? css);
  assert(addresses.length > 60);
  for (const address of addresses) {
    const ownFile = /^(steps\.csv|result\.json|events\.jsonl|weights\.safetensors)$/.test(address);
    assert(ownFile || /^data:image\/png;base64,|^#/.test(address), `the page refers to ${address}`);
  }
  assertFalse(/<script|<link|@import/.test(html));
});

Deno.test("every image, plot and table has a text", async () => {
  const { html } = await reportOf({});
  for (const [image] of html.matchAll(/<img[^>]*>/g)) assertMatch(image, /alt="[^"]{10,}"/);
  const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
  assertEquals(new Set(ids).size, ids.length, "an id stands twice");
  const named = [...html.matchAll(/aria-(?:labelledby|describedby)="([^"]*)"/g)];
  assert(named.length >= 10);
  for (const [, id] of named) assert(ids.includes(id), `no element has the id ${id}`);
});

Deno.test("a report is the same every time", async () => {
  const run = await readFolder("run", readerOf(await fixtureFolder({})));
  const before = renderRunReport(run);
  renderRunReport(run);
  assertEquals(renderRunReport(run).html === before.html, true);
});

Deno.test("a finished run has a model card: result, preparation, departures", async () => {
  const { card } = await reportOf({ iterations: 2000 });
  const [, front, body] = /^---\n(.*?)\n---\n\n(.*)$/s.exec(card!)!;
  const [{ results: [{ metrics, dataset }] }] = JSON.parse(front)["model-index"];
  assertEquals([dataset.type, metrics], ["cifar10", [{ type: "accuracy", value: 1 - 0.0751 }]]);
  assertStringIncludes(body, "7.51% test error (751 of 10,000 images of CIFAR-10 wrong)");
  assertStringIncludes(body, "but for 2 fields of the recipe");
  assertStringIncludes(body, "pixels in 0..1, the per-pixel mean subtracted");
  assertEquals((await reportOf({ ending: "stop" })).card, undefined);
});

Deno.test("page, card and data say by which checklist the run was judged, and what it breaks", async () => {
  const { html, card, result } = await reportOf({ iterations: 2000 });
  const { version, pass, notObservable, fails } = result.checklist;
  assertEquals(version, CHECKLIST);
  const said = `By the checklist's ${checklistInWords(CHECKLIST)}: the run keeps ${pass} rules, ` +
    `breaks ${fails.length}, and of ${notObservable} its log holds too little.`;
  const text = textOf(html);
  for (const place of [text, card!]) assertStringIncludes(place, said);
  const ids = fails.map(({ id }) => id);
  for (const id of ["iterations", "recipe-of-paper"]) assert(ids.includes(id), `${ids}`);
  assert(!ids.includes("momentum") && pass > 20, `${ids}`);
  for (const { id, evidence } of fails) {
    assertStringIncludes(text, id);
    assertStringIncludes(
      text,
      evidence.slice(0, 30).replaceAll("<", "&lt;").replaceAll('"', "&quot;"),
    );
  }
});

Deno.test("steps.csv has one row a step event", async () => {
  const rows = parse((await reportOf({ iterations: 400, logEvery: 20, resumed: true })).stepsCsv);
  assertEquals(rows[0], [
    "iteration",
    "steps",
    "learningRate",
    "loss",
    "error",
    "imagesPerSecond",
    "time",
  ]);
  assertEquals(rows.slice(1).map(([iteration]) => Number(iteration)), [
    ...Array.from({ length: 20 }, (_, i) => 20 * (i + 1)),
  ]);
  assertEquals(rows[20].slice(0, 2), ["400", "20"]);
});

Deno.test("a run that went over to another engine names both, with their iterations", async () => {
  const folder = await fixtureFolder({ resumed: true, samples: false });
  const lines = textIn(folder, "events.jsonl").split("\n").map((line) =>
    line.includes('"type":"resume"') ? line.replace('"wasm"', '"tfjs-cpu"') : line
  );
  setText(folder, "events.jsonl", lines.join("\n"));
  const { html } = renderRunReport(await readFolder("run", readerOf(folder)));
  assertStringIncludes(
    textOf(html),
    "Engine wasm to iteration 1,000, tfjs-cpu to iteration 2,000",
  );
  const one = await reportOf({ resumed: true, samples: false });
  assertMatch(textOf(one.html), /Engine wasm (?!to)/);
});

Deno.test("a run on photographs is held to section 3.4, and accused by no rule of CIFAR-10", async () => {
  const { html, card, result } = await reportOf({ set: "photographs", samples: false });
  const broken = result.checklist.fails.map(({ id }) => id);
  // The first two are of the fixture, whose best validation and weights are made up.
  assertEquals(broken, ["final-step", "files-named", "recipe-of-paper"]);
  assert(result.checklist.pass >= 12, `${result.checklist.pass}`);
  const text = textOf(html);
  for (const place of [text, card!]) {
    assertStringIncludes(place, "Photographs are the matter of the paper's section 3.4.");
    assertStringIncludes(place, "val/ is validation and test.");
    assertFalse(/4\.2|CIFAR/.test(place), place.match(/.{60}(4\.2|CIFAR).{60}/)?.[0]);
  }
  assertStringIncludes(text, "Not the paper's run on ImageNet, section 3.4:");
  assertStringIncludes(html, 'class="notice calm"');
  assertFalse(text.includes("Test error on these images"));
  assertStringIncludes(card!, "Trained as section 3.4 of");
  assertFalse(text.includes("not one of the paper's nets"));
  assertStringIncludes((await reportOf({})).card!, "Trained as section 4.2 of");
});

Deno.test("best weights that photographs of the test chose are said to be chosen so", async () => {
  const said = async (set: "photographs" | "cifar10", watched: string) => {
    const folder = await fixtureFolder({ set, samples: false, iterations: 200 });
    const lines = textIn(folder, "events.jsonl").trim().split("\n").map((line) => JSON.parse(line));
    const [start] = lines;
    start.recipe.best = { watched, threshold: 0 };
    const { time, iteration } = lines.at(-1);
    const best = {
      ...{ type: "best", time, iteration, watched, value: 0.1, loss: 1, images: 10_000 },
      ...{ errors: 700, error: 0.07 },
      file: { path: "best.safetensors", sha256: "0".repeat(64), bytes: 1 },
    };
    lines.splice(-1, 0, best);
    setText(folder, "events.jsonl", lines.map((line) => JSON.stringify(line) + "\n").join(""));
    return textOf(renderRunReport(await readFolder("run", readerOf(folder))).html);
  };
  const chosen = "; chosen on the images that it was tested on";
  assertStringIncludes(await said("photographs", "validation-error"), chosen);
  assertFalse((await said("photographs", "training-loss")).includes(chosen));
  assertFalse((await said("cifar10", "validation-error")).includes(chosen));
  // A share as the errors beside it, a loss as it is.
  assertStringIncludes(await said("cifar10", "validation-error"), "where it was 10.00%");
  assertStringIncludes(await said("cifar10", "training-loss"), "where it was 0.1");
});

Deno.test("page, card and data have the top-5 error where the log has it", async () => {
  const folder = await fixtureFolder({ samples: false });
  const lines = textIn(folder, "events.jsonl").replace(
    '"set":"test"',
    '"set":"test","errors5":120,"error5":0.012',
  );
  setText(folder, "events.jsonl", lines);
  const { html, card, result } = renderRunReport(await readFolder("run", readerOf(folder)));
  const { interval, ...five } = result.topFiveError!;
  assertEquals(five, { error: 0.012, errors: 120, images: 10_000 });
  assert(interval.lower < 0.012 && interval.upper > 0.012 && interval.upper < 0.015);
  assertStringIncludes(textOf(html), "Top-5 test error 1.20%, 95% interval 1.00%");
  assertStringIncludes(textOf(html), "120 of 10,000 without their class among the five likeliest");
  assertStringIncludes(card!, "top-5 error 1.20%");
  assertStringIncludes(card!, '"value": 0.988');
  const without = await reportOf({ samples: false });
  assertEquals(without.result.topFiveError, null);
  assertFalse((textOf(without.html) + without.card).includes("op-5"));
});

/** The report of a fixture whose lines are others. */
async function reportAfter(
  options: FixtureOptions,
  // deno-lint-ignore no-explicit-any -- lines of a log, as a test needs them
  change: (lines: any[]) => unknown[],
): Promise<RunReport> {
  const folder = await fixtureFolder(options);
  const lines = change(
    textIn(folder, "events.jsonl").trim().split("\n").map((line) => JSON.parse(line)),
  );
  setText(folder, "events.jsonl", lines.map((line) => JSON.stringify(line) + "\n").join(""));
  return renderRunReport(await readFolder("run", readerOf(folder)));
}

Deno.test("what goes on with a run is its command as a shell takes it, and does not stop it again", async () => {
  const next = async (command: readonly string[], resumedWith?: readonly string[]) => {
    const { html } = await reportAfter(
      { ending: "stop", samples: false, resumed: resumedWith !== undefined },
      (lines) =>
        lines.map((line) =>
          line.type === "start"
            ? { ...line, command }
            : line.type === "resume"
            ? { ...line, command: resumedWith }
            : line
        ),
    );
    return / Next (.*?) goes on with it/.exec(textOf(html))![1];
  };
  const train = ["deno", "task", "train"];
  assertEquals(
    await next([...train, "--out", "my runs/a", "--stop-after", "1800"]),
    "deno task train --out 'my runs/a'",
  );
  assertEquals(
    await next([...train, "--stop-after=900"], [...train, "--stop-after=1800", "--threads", "2"]),
    "deno task train --threads 2",
  );
});

Deno.test("the card of a run that began from given weights says from which", async () => {
  const { card } = await reportAfter(
    { iterations: 64_000, logEvery: 800, samples: false },
    ([start, ...others]) => [
      { ...start, startWeights: { path: "pretrained.pth", sha256: "9".repeat(64) } },
      ...others,
    ],
  );
  assertStringIncludes(card!, "It began from given weights, <code>pretrained.pth</code>");
  const usual = (await reportOf({ samples: false })).card!;
  assertFalse(usual.includes("given weights"));
});

Deno.test("a point's iterations are those that the log's lines average, also after a resume", async () => {
  const { html } = await reportAfter({ samples: false, resumed: true }, (lines) => {
    const at = lines.findIndex(({ type }) => type === "resume");
    // Gone on with another --log-every: every fifth line, of five times the steps.
    const coarse = lines.slice(at).filter(({ type, iteration }) =>
      type !== "step" || iteration % 100 === 0
    ).map((line) => line.type === "step" ? { ...line, steps: 100 } : line);
    return [...lines.slice(0, at), ...coarse];
  });
  assertStringIncludes(textOf(html), "a point is the mean over up to 100 iterations");
});

Deno.test("the rate is what the log's own lines say, however few of the steps it has", async () => {
  const said = async (logEvery: number) => {
    const { html } = await reportAfter({ logEvery, samples: false }, ([start, ...lines]) => [
      { ...start, version: 2 },
      ...[[1, 0.1], [1001, 0.01], [1501, 0.001]].map(([iteration, learningRate]) => ({
        ...{ type: "rate", time: start.time, iteration, learningRate },
      })),
      ...lines,
    ]);
    return textOf(html);
  };
  // With one line of all steps, whose rate is the last step's, the first was another.
  for (const logEvery of [20, 1000, 2000]) {
    assertStringIncludes(
      await said(logEvery),
      "0.1 at first; 0.01 from iteration 1,001 on; 0.001 from iteration 1,501 on.",
    );
  }
});

Deno.test("a change of the rate behind the last step event stays within the drawings", async () => {
  const { html } = await reportAfter({ ending: "none", samples: false }, ([start, ...lines]) => [
    { ...start, version: 2 },
    { type: "rate", time: start.time, iteration: 1, learningRate: 0.1 },
    ...lines,
    // Killed 101 steps after its last event, at 1,800.
    { type: "rate", time: start.time, iteration: 1901, learningRate: 0.01 },
  ]);
  assertFalse(/stroke-dasharray="2 3"/.test(html), "a mark is drawn where no line is");
  const rates = /<h3>Learning rate<\/h3>.*?<path d="([^"]*)"/s.exec(html)![1];
  const places = [...rates.matchAll(/([\d.]+),[\d.]+/g)].map(([, x]) => Number(x));
  assertEquals(places, places.toSorted((a, b) => a - b));
  assertStringIncludes(textOf(html), "0.1 at first; 0.01 from iteration 1,901 on.");
});

Deno.test("a rate that is another at each step is drawn through those that are known", async () => {
  const { html } = await reportAfter({ logEvery: 500, samples: false }, ([start, ...lines]) => {
    const schedule = { kind: "cosine", rate: 0.1, minimumRate: 0, period: 2000, iterations: 2000 };
    const rate = (iteration: number) => 0.05 * (1 + Math.cos(Math.PI * (iteration - 1) / 2000));
    return [
      { ...start, version: 2, recipe: { ...start.recipe, schedule } },
      { type: "rate", time: start.time, iteration: 1, learningRate: 0.1 },
      ...lines.map((line) =>
        line.type === "step" ? { ...line, learningRate: rate(line.iteration) } : line
      ),
    ];
  });
  assertStringIncludes(textOf(html), "0.1 at first; 6.17e-8 at iteration 2,000.");
});

Deno.test("of unusual logs no page has a hole in it", async () => {
  // deno-lint-ignore no-explicit-any -- lines of a log
  type Lines = any[];
  const each = (type: string, change: (line: Lines[number], i: number) => object) => (all: Lines) =>
    all.map((line, i) => line.type === type ? { ...line, ...change(line, i) } : line);
  const cut = (...types: string[]) => (all: Lines) =>
    all.filter(({ type }) => !types.includes(type));
  const resumed = (all: Lines, ...places: number[]) => {
    const at = all.findIndex(({ type }) => type === "resume");
    const resumes = places.map((iteration) => ({ ...all[at], iteration }));
    return [...all.slice(0, at), ...resumes];
  };
  const open = { ending: "none", samples: false, resumed: true } as const;
  const over = { samples: false } as const;
  const logs: Record<string, [FixtureOptions, (all: Lines) => Lines]> = {
    "nothing but the start": [open, (all) => all.slice(0, 1)],
    "one step event": [open, (all) => all.slice(0, 2)],
    "no step event": [over, cut("step")],
    "no validation": [over, (all) => all.filter(({ set }) => set !== "validation")],
    "gone on with at 0": [open, (all) => resumed(all, 0)],
    "gone on with again and again": [open, (all) => resumed(all, 1000, 1000, 400, 0, 0)],
    "stopped, gone on with, stopped": [
      { ...open, ending: "stop" },
      (all) => {
        const stop = { type: "stop", time: all[0].time, iteration: 1000, reason: "SIGINT" };
        return [...resumed(all, 1000), stop, ...resumed(all, 1000).slice(-1), stop];
      },
    ],
    "rates and losses of 0": [over, each("step", () => ({ learningRate: 0, loss: 0, error: 0 }))],
    "no images a second": [over, each("step", () => ({ imagesPerSecond: 0 }))],
    "of two classes without names": [over, (all) =>
      all.filter(({ type }) => type !== "file")
        .map(({ predictions: _, ...line }) =>
          line.type === "start" ? { ...line, classes: ["", ""] } : line
        )],
    "everything right": [
      over,
      (all) =>
        all.map(({ predictions: _, ...line }) =>
          line.set === "test"
            ? { ...line, errors: 0, error: 0, errors5: 0, error5: 0 }
            : line.type === "end"
            ? { ...line, testError: 0, trainingSeconds: 0 }
            : line
        ),
    ],
    "ended before its schedule": [
      over,
      (all) =>
        all.filter(({ iteration = 0 }) => iteration <= 1000).concat([{
          ...all.find(({ set }) => set === "test"),
          iteration: 1000,
          predictions: undefined,
        }, { ...all.at(-1), iteration: 1000, stoppedEarly: true }]),
    ],
  };
  for (const [name, [options, change]] of Object.entries(logs)) {
    const { html, card, stepsCsv } = await reportAfter(options, change);
    const page = html.replace(/<style>.*?<\/style>/s, "");
    for (const text of [page, card ?? "", stepsCsv]) {
      const hole = /.{0,60}\b(NaN|undefined|Infinity|null|\[object)\b.{0,40}/.exec(text);
      assertEquals(hole?.[0], undefined, name);
    }
  }
});

Deno.test("a log of an earlier version that was gone on with keeps the marks of its rates", async () => {
  const { html } = await reportAfter(
    { samples: false, resumed: true },
    (lines) =>
      lines.flatMap((line) =>
        line.type === "step" && line.iteration === 1520
          ? [{ type: "rate", time: line.time, iteration: 1501, learningRate: 0.001 }, line]
          : [line]
      ),
  );
  for (const mark of ["rate 0.01<", "rate 0.001<"]) assertStringIncludes(html, mark);
});

Deno.test("waiting for images and computing stand apart, with what to do where it is much", async () => {
  const folder = await fixtureFolder({ resumed: true, samples: false, logEvery: 100 });
  const timed = (waitingSeconds: number) => {
    const lines = textIn(folder, "events.jsonl").trim().split("\n").map((line) => {
      const event = JSON.parse(line);
      if (event.type !== "step") return line;
      return JSON.stringify({ ...event, waitingSeconds, computingSeconds: 5 });
    });
    const changed = new Map(folder);
    setText(changed, "events.jsonl", lines.map((line) => line + "\n").join(""));
    return readFolder("run", readerOf(changed)).then(renderRunReport);
  };
  // Of 20 events; those that the resume took back don't count.
  const { html, result, stepsCsv } = await timed(3);
  assertEquals(result.waiting, { waitingSeconds: 60, computingSeconds: 100 });
  const said = "Waiting for images 1 min 00 s, 37.5%; computing 1 min 40 s";
  assertStringIncludes(textOf(html), `${said}. More --workers read further ahead`);
  const [titles, first] = parse(stepsCsv);
  assertEquals(titles.slice(-3), ["waitingSeconds", "computingSeconds", "time"]);
  assertEquals(first.slice(-3, -1), ["3", "5"]);
  const little = textOf((await timed(0.25)).html);
  assertStringIncludes(little, "Waiting for images 5 s, 4.8%; computing 1 min 40 s");
  assertFalse(little.includes("--workers"));
  const held = await reportOf({ samples: false });
  assertEquals(held.result.waiting, null);
  assertFalse(textOf(held.html).includes("Waiting for images"));
});

Deno.test("a run that broke off early still has a report", async () => {
  const text = textOf((await reportOf({ ending: "none", samples: false })).html);
  assertStringIncludes(text, "No result");
  assertStringIncludes(text, "The log breaks off after iteration 1,800");
  assertMatch(text, /Next train .* goes on with it/);
  assertStringIncludes(textOf((await reportOf({})).html), "Next deno task audit FOLDER");
});

const files = await Promise.all(
  (["read", "write"] as const).map((name) => Deno.permissions.query({ name })),
);

Deno.test({
  name: "a report is written into the run's folder (needs --allow-read --allow-write)",
  ignore: files.some(({ state }) => state !== "granted"),
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      for (const [path, content] of await fixtureFolder({})) {
        await Deno.writeFile(`${folder}/${path}`, content);
      }
      const { html, result, steps } = await writeRunReport(folder);
      const expected = await reportOf({});
      assertEquals(JSON.parse(await Deno.readTextFile(result)), expected.result);
      assertEquals(await Deno.readTextFile(html) === expected.html, true);
      assertEquals(await Deno.readTextFile(steps), expected.stepsCsv);
      const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
      assertFalse(names.some((name) => name.endsWith(".partial")));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
