/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/** The report of a run as one HTML page; JSX escapes whatever the log says. */
import type { ComponentChildren, VNode } from "preact";
import type { ImageSample, Run, StartEvent } from "../log/mod.ts";
import { choicesOf } from "../recipes/mod.ts";
import { duration, moment, number, percent, significant } from "../text/mod.ts";
import { networkName, recipeValue, setName } from "./_format.ts";
import { figure6Axis } from "./_figure_6.ts";
import { pngUri } from "./_image.ts";
import { paperError } from "./_paper.ts";
import { type Series, spanMeans } from "./_plot.ts";
import { PlotFigure } from "./_plot_figure.tsx";
import { renderDocument, Table } from "./document.tsx";
import type { ClassError, RunResult } from "./run_result.ts";

/** Larger matrices are shown by their most frequent confusions alone. */
const LARGEST_MATRIX = 20;
/** Most points of a training curve; more would be finer than a screen's pixels. */
const CURVE_POINTS = 300;

/** The whole page. */
export function renderPage(run: Run, result: RunResult): string {
  return renderDocument({
    title: `${networkName(result.architecture.name)} on ${setName(result.data.set)}: ${result.run}`,
    children: (
      <>
        <Headline run={run} result={result} />
        <main>
          <Notes run={run} />
          <Curves run={run} />
          <Classes result={result} />
          <Samples run={run} />
          <LayerResponses run={run} />
          <RecipeSection run={run} result={result} />
          <Provenance run={run} />
        </main>
      </>
    ),
  });
}

interface Props {
  readonly run: Run;
  readonly result: RunResult;
}

function Headline({ run, result }: Props): VNode {
  const { testError, bestValidation } = result;
  const reference = paperError(run.start);
  return (
    <header>
      <p class="eyebrow">Run {result.run}</p>
      <h1>{networkName(result.architecture.name)} on {setName(result.data.set)}</h1>
      {testError
        ? (
          <p class="result">
            <strong>{percent(testError.error)}</strong>
            <span>
              test error, 95% interval {percent(testError.interval.lower)} to{" "}
              {percent(testError.interval.upper)}
              <br />
              <span class="muted">
                {number(testError.errors)} of {number(testError.images)}{" "}
                test images wrong after the last step; Wilson interval for that number of images,
                not for the spread over seeds
              </span>
            </span>
          </p>
        )
        : (
          <p class="result none">
            <strong>No result</strong>
            <span>{endingOf(result)}</span>
          </p>
        )}
      <BuiltInNotice result={result} />
      <Verdict result={result} />
      <dl class="facts">
        <Fact name="Seed">{result.seed}</Fact>
        <Fact name="Iterations">
          {number(result.iterations)} of {number(run.start.recipe.schedule.iterations)}
        </Fact>
        {result.engines.length > 0 && <Fact name="Engine">{enginesLine(result)}</Fact>}
        {result.trainingSeconds !== null && (
          <Fact name="Training time">{duration(result.trainingSeconds)}</Fact>
        )}
        {result.imagesPerSecond !== null && (
          <Fact name="Training speed (median)">{number(result.imagesPerSecond)} images/s</Fact>
        )}
        <Fact name="Parameters">{number(result.architecture.parameters)}</Fact>
        <Fact name="Multiply-adds per image">
          {number(result.architecture.multiplyAdds / 1e6, 2)} million
        </Fact>
        {bestValidation && (
          <Fact name="Best validation error (not the result)">
            {percent(bestValidation.error)} at iteration {number(bestValidation.iteration)}
          </Fact>
        )}
        {reference && <Fact name="The paper's test error (Table 6)">{reference}</Fact>}
      </dl>
    </header>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }): VNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function BuiltInNotice({ result: { data, testError } }: { result: RunResult }): VNode | null {
  const { notice, errorFloor, linearModelError } = data;
  if (data.set !== "shapes10" && !notice) return null;
  const rows: [string, number | undefined][] = [
    ["This network", testError?.error],
    ["A linear model on the same images", linearModelError],
    ["Error floor: share of wrong test labels", errorFloor],
  ];
  return (
    <div class="notice">
      <p>
        {data.set === "shapes10" && <strong>Built-in images, not CIFAR-10.</strong>} {notice}
      </p>
      <table>
        <caption>Test error</caption>
        <tbody>
          {rows.map(([name, error]) =>
            error !== undefined && (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="number">{percent(error)}</td>
              </tr>
            )
          )}
        </tbody>
      </table>
    </div>
  );
}

function Verdict({ result: { paperRun } }: { result: RunResult }): VNode {
  const [first, ...more] = paperRun.differences;
  if (first === undefined) {
    return <p>The paper's run: nothing that the paper decides is different.</p>;
  }
  if (more.length === 0) return <p>Not the paper's run: {first}.</p>;
  return (
    <div>
      <p>Not the paper's run:</p>
      <ul>{paperRun.differences.map((difference) => <li key={difference}>{difference}</li>)}</ul>
    </div>
  );
}

function Notes({ run: { warnings, resumes } }: { run: Run }): VNode | null {
  if (warnings.length + resumes.length === 0) return null;
  return (
    <section>
      <h2>Warnings and interruptions</h2>
      <ul>
        {warnings.map(({ iteration, message }, i) => (
          <li key={i}>
            {message}
            {iteration !== undefined && (
              <span class="muted">{` (iteration ${number(iteration)})`}</span>
            )}
          </li>
        ))}
        {resumes.map(({ iteration, time, engine }, i) => (
          <li key={`resume ${i}`}>
            Resumed at {moment(time)} from the checkpoint of iteration {number(iteration)} on{" "}
            {engine.name} ({engine.device.summary}).
          </li>
        ))}
      </ul>
    </section>
  );
}

function Curves({ run }: { run: Run }): VNode | null {
  const { steps, evaluations, start } = run;
  if (steps.length === 0) return null;
  const training = (value: "loss" | "error", scale: number) =>
    spanMeans(steps.map((step) => [step.iteration, step[value] * scale]), CURVE_POINTS);
  const evaluated = (set: "validation" | "test", value: "loss" | "error", scale: number) =>
    evaluations.filter((event) => event.set === set)
      .map((event) => [event.iteration, event[value] * scale] as const);
  const series = (value: "loss" | "error", scale: number): Series[] => {
    const all: Series[] = [
      { name: "training", color: "--training", points: training(value, scale).points },
      {
        name: "validation",
        color: "--validation",
        dashed: true,
        points: evaluated("validation", value, scale),
      },
      { name: "test", color: "--test", points: evaluated("test", value, scale) },
    ];
    return all.filter(({ points }) => points.length > 0)
      .map((line) => ({ ...line, dots: line.points.length <= 25 }));
  };
  const errors = series("error", 100);
  const axis = figure6Axis(errors);
  const averaged = training("loss", 1).span * start.logEvery;
  return (
    <section>
      <h2>Training</h2>
      <p class="muted">
        Training curves are measured on augmented batches before each update; a point is the mean
        over{" "}
        {averaged === 1 ? "one iteration" : `up to ${number(averaged)} iterations`}. Validation and
        test images are not augmented.
      </p>
      <div class="columns">
        <PlotFigure
          title="Error"
          plot={{
            id: "error",
            x: "iteration",
            y: "error, %",
            top: axis.top,
            series: errors,
          }}
          summary={`${describe(errors, (y) => `${y.toFixed(2)}%`)}${axis.said}`}
        />
        <PlotFigure
          title="Loss"
          plot={{
            id: "loss",
            x: "iteration",
            y: "cross entropy, logarithmic",
            logarithmic: true,
            series: series("loss", 1),
          }}
          summary={describe(series("loss", 1), significant)}
        />
        <LearningRate run={run} />
      </div>
    </section>
  );
}

function LearningRate({ run: { steps } }: { run: Run }): VNode {
  const points: [number, number][] = [[0, steps[0].learningRate]];
  const phrases = [`${significant(steps[0].learningRate)} at first`];
  for (const [i, step] of steps.entries()) {
    const before = steps[i - 1];
    if (before && before.learningRate !== step.learningRate) {
      points.push([before.iteration, before.learningRate], [before.iteration, step.learningRate]);
      // The log says no more of a change than the steps that an event averages.
      phrases.push(
        `${significant(step.learningRate)}, first logged for iterations ${
          number(before.iteration + 1)
        } to ${number(step.iteration)}`,
      );
    }
  }
  const last = steps[steps.length - 1];
  points.push([last.iteration, last.learningRate]);
  return (
    <PlotFigure
      title="Learning rate"
      plot={{
        id: "rate",
        x: "iteration",
        y: "learning rate, logarithmic",
        logarithmic: true,
        series: [{ name: "learning rate", color: "--training", points }],
      }}
      summary={`${phrases.slice(0, 8).join("; ")}${phrases.length > 8 ? "; and so on" : ""}.`}
    />
  );
}

/** "Training: from 80% at iteration 20 to 1% at 2,000." for each line. */
function describe(series: readonly Series[], show: (y: number) => string): string {
  return series.map(({ name, points }) => {
    const title = name[0].toUpperCase() + name.slice(1);
    const [[x0, y0]] = points;
    const [x1, y1] = points[points.length - 1];
    return points.length === 1
      ? `${title}: ${show(y0)} at iteration ${number(x0)}.`
      : `${title}: from ${show(y0)} at iteration ${number(x0)} to ${show(y1)} at ${number(x1)}.`;
  }).join(" ");
}

function Classes({ result: { confusion, perClass } }: { result: RunResult }): VNode | null {
  if (!confusion || !perClass) return null;
  return (
    <section>
      <h2>Classes</h2>
      <div class="columns">
        {confusion.length <= LARGEST_MATRIX
          ? <ConfusionMatrix confusion={confusion} perClass={perClass} />
          : <TopConfusions confusion={confusion} perClass={perClass} />}
        <PerClass perClass={perClass} />
      </div>
    </section>
  );
}

interface ConfusionProps {
  readonly confusion: readonly (readonly number[])[];
  readonly perClass: readonly ClassError[];
}

function ConfusionMatrix({ confusion, perClass }: ConfusionProps): VNode {
  const most = Math.max(1, ...confusion.flatMap((row, i) => row.filter((_, j) => i !== j)));
  return (
    <Table
      id="confusion-caption"
      class="confusion"
      caption="Confusion matrix, in test images: a row is a label, a column a prediction. Wrong predictions are shaded against the most frequent confusion."
    >
      <thead>
        <tr>
          <td />
          {perClass.map(({ name }, i) => (
            <th key={i} scope="col">
              <span>{name}</span>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {confusion.map((row, label) => (
          <tr key={label}>
            <th scope="row">{perClass[label].name}</th>
            {row.map((count, prediction) => {
              const right = label === prediction;
              const full = right ? Math.max(1, perClass[label].images) : most;
              const shade = Math.round((right ? 25 : 45) * count / full);
              return (
                <td
                  key={prediction}
                  class={`${right ? "right" : "wrong"}${count === 0 ? " zero" : ""}`}
                  style={`--share: ${shade}%`}
                >
                  {number(count)}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function TopConfusions({ confusion, perClass }: ConfusionProps): VNode {
  const pairs = confusion
    .flatMap((row, label) => row.map((count, prediction) => ({ label, prediction, count })))
    .filter(({ label, prediction, count }) => label !== prediction && count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, LARGEST_MATRIX);
  return (
    <Table
      id="confusion-caption"
      caption="The most frequent confusions; result.json holds the whole matrix."
    >
      <thead>
        <tr>
          <th scope="col">Label</th>
          <th scope="col">Prediction</th>
          <th scope="col" class="number">Images</th>
        </tr>
      </thead>
      <tbody>
        {pairs.map(({ label, prediction, count }) => (
          <tr key={`${label} ${prediction}`}>
            <th scope="row">{perClass[label].name}</th>
            <td>{perClass[prediction].name}</td>
            <td class="number">{number(count)}</td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function PerClass({ perClass }: { perClass: readonly ClassError[] }): VNode {
  const most = Math.max(...perClass.map(({ error }) => error ?? 0)) || 1;
  return (
    <Table
      id="per-class-caption"
      class="wide-table"
      caption="Test error by class, with bars against the class of the highest error"
    >
      <thead>
        <tr>
          <th scope="col">Class</th>
          <th scope="col" class="number">Error</th>
          <th scope="col" class="number">Wrong</th>
          <th scope="col" class="number">Images</th>
          <td />
        </tr>
      </thead>
      <tbody>
        {perClass.map(({ name, error, errors, images }, i) => (
          <tr key={i}>
            <th scope="row">{name}</th>
            <td class="number">{error === null ? "–" : percent(error)}</td>
            <td class="number">{number(errors)}</td>
            <td class="number">{number(images)}</td>
            <td class="bar" aria-hidden="true">
              <span style={`--share: ${((error ?? 0) / most * 100).toFixed(1)}%`} />
            </td>
          </tr>
        ))}
      </tbody>
    </Table>
  );
}

function Samples({ run: { start, worstMistakes, augmentedSample } }: { run: Run }): VNode {
  const { classes } = start;
  return (
    <>
      {worstMistakes && (
        <section>
          <h2>Worst mistakes</h2>
          <p class="muted">
            Test images that were misclassified with the highest confidence: label → prediction,
            with the softmax probability of the prediction.
          </p>
          <Images sample={worstMistakes}>
            {({ index, label, prediction, confidence, labelProbability }) => {
              const taken = prediction === undefined ? "unknown" : classes[prediction];
              return {
                alt: `Test image ${index}: ${classes[label]}, taken for ${taken}`,
                caption: (
                  <>
                    {classes[label]} → {taken}
                    {confidence !== undefined && <span>{` (${percent(confidence, 1)})`}</span>}
                    {labelProbability !== undefined && (
                      <span>
                        <br />
                        {classes[label]}: {percent(labelProbability, 1)}
                      </span>
                    )}
                  </>
                ),
              };
            }}
          </Images>
        </section>
      )}
      {augmentedSample && (
        <section>
          <h2>Augmented training images</h2>
          <p class="muted">As the network saw them: the crop's top and left edge in pixels.</p>
          <Images sample={augmentedSample}>
            {({ index, label, cropY, cropX, flip }) => {
              const how = [
                cropY !== undefined && cropX !== undefined && `crop ${cropY}, ${cropX}`,
                flip && "mirrored",
              ].filter(Boolean).join("; ");
              return {
                alt: `Training image ${index}: ${classes[label]}${how && `, ${how}`}`,
                caption: (
                  <>
                    {classes[label]}
                    <br />
                    <span>{how}</span>
                  </>
                ),
              };
            }}
          </Images>
        </section>
      )}
    </>
  );
}

type SampleImage = ImageSample["images"][number];

interface ImagesProps {
  readonly sample: ImageSample;
  readonly children: (image: SampleImage) => { alt: string; caption: VNode };
}

function Images({ sample, children }: ImagesProps): VNode {
  return (
    <ul class="images">
      {sample.images.map((image, i) => {
        const { alt, caption } = children(image);
        return (
          <li key={i}>
            <img src={pngUri(sample, image.pixels)} alt={alt} width="64" height="64" />
            {caption}
          </li>
        );
      })}
    </ul>
  );
}

function LayerResponses({ run: { layerStatistics } }: { run: Run }): VNode | null {
  if (!layerStatistics || layerStatistics.layers.length === 0) return null;
  const { layers, images } = layerStatistics;
  const smallest = layers.reduce((a, b) => b.std < a.std ? b : a);
  const largest = layers.reduce((a, b) => b.std > a.std ? b : a);
  const points = layers.map(({ std }, i) => [i + 1, std] as const);
  return (
    <section>
      <h2>Layer responses</h2>
      <PlotFigure
        title="Standard deviation of each 3x3 layer's output"
        plot={{
          id: "responses",
          x: "layer",
          y: "standard deviation",
          series: [{ name: "standard deviation", color: "--training", dots: true, points }],
        }}
        summary={`After batch normalisation, before ReLU or addition, over ${
          number(images)
        } training images, as in the paper's Figure 7. From ${
          significant(smallest.std)
        } (${smallest.name}) to ${significant(largest.std)} (${largest.name}).`}
      />
    </section>
  );
}

function RecipeSection({ run: { start }, result }: Props): VNode {
  const { name, architecture, departures: _, ...decided } = start.recipe;
  const { departures } = result.recipe;
  const fields = [...leaves({ architecture, ...decided })];
  const departing = new Set(departures.map(({ field }) => field));
  return (
    <section>
      <h2>Recipe</h2>
      <h3>Departures from the paper</h3>
      {departures.length === 0 ? <p>None.</p> : (
        <Table
          id="departures-caption"
          class="wide-table departures"
          caption="Fields in which the recipe differs from the paper's"
        >
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col">Paper</th>
              <th scope="col">Here</th>
              <th scope="col">Reason</th>
            </tr>
          </thead>
          <tbody>
            {departures.map(({ field, paper, here, reason, source }) => (
              <tr key={field}>
                <th scope="row">
                  <code>{field}</code>
                </th>
                <td>{recipeValue(paper)}</td>
                <td>{recipeValue(here)}</td>
                <td>{reason}{source && ` (${source})`}</td>
              </tr>
            ))}
          </tbody>
        </Table>
      )}
      <h3>What the paper leaves open</h3>
      <Table
        id="open-points-caption"
        class="wide-table"
        caption="What the paper leaves open, with this run's choices"
      >
        <thead>
          <tr>
            <th scope="col">Point</th>
            <th scope="col">Choice</th>
          </tr>
        </thead>
        <tbody>
          {choicesOf(start.recipe).map(({ id, question, choice }) => (
            <tr key={id}>
              <th scope="row">{question}</th>
              <td>{choice}</td>
            </tr>
          ))}
        </tbody>
      </Table>
      <h3>All fields of the recipe “{name}”</h3>
      <dl class="fields">
        {fields.map(([field, value]) => (
          <div key={field} class={departing.has(field) ? "departs" : ""}>
            <dt>{field}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Provenance({ run }: { run: Run }): VNode {
  const { start, resumes, outcome } = run;
  const { data } = start;
  const rows: [string, ComponentChildren][] = [
    ["Started", moment(start.time)],
    ...(outcome ? [["Ended", moment(outcome.time)] as [string, string]] : []),
    ["Command", <code key="command">{start.command.join(" ")}</code>],
    ...processRows(start),
    ["Seed", start.seed],
    ...resumes.flatMap((resume): [string, ComponentChildren][] => [
      ["Resumed", moment(resume.time)],
      ["Command", <code key="command">{resume.command.join(" ")}</code>],
      ...processRows(resume),
    ]),
    [
      "Images",
      `${number(data.trainingImages)} training, ${number(data.validationImages)} validation, ${
        number(data.testImages)
      } test`,
    ],
    ...(start.startWeights
      ? [[
        `Starting weights, SHA-256`,
        <Hash key="weights" of={start.startWeights.path} value={start.startWeights.sha256} />,
      ] as [string, VNode]]
      : []),
    [
      "Data, SHA-256",
      Object.entries(data.hashes).map(([name, value]) => (
        <Hash
          key={name}
          of={name}
          value={value}
        />
      )),
    ],
    [
      "Split, SHA-256",
      Object.entries(data.splitHashes).map(([name, value]) => (
        <Hash key={name} of={name} value={value} />
      )),
    ],
    ["Mean, SHA-256", <Hash key="mean" of={`of ${data.mean.of}`} value={data.mean.sha256} />],
    ...(outcome?.type === "end"
      ? [["Final weights, SHA-256", <code key="final">{outcome.weightsSha256}</code>] as [
        string,
        VNode,
      ]]
      : []),
  ];
  return (
    <section>
      <h2>Provenance</h2>
      <Table id="provenance-caption" class="wide-table" caption="What one needs to repeat the run">
        <tbody>
          {rows.map(([name, value], i) => (
            <tr key={i}>
              <th scope="row">{name}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </Table>
    </section>
  );
}

/** What a start and a resume both say of the process. */
function processRows(
  { engine, versions, revision }: Pick<StartEvent, "engine" | "versions" | "revision">,
): [string, ComponentChildren][] {
  const list = (values: object) =>
    Object.entries(values).map(([name, value]) => `${name} ${value}`).join(", ");
  return [
    ["Engine", `${engine.name}: ${engine.reason}`],
    ["Device", engine.device.summary],
    ["Device details", list(engine.device.details)],
    ["Versions", list(versions)],
    ["Revision", revision === null ? "no working copy" : <code key="revision">{revision}</code>],
  ];
}

function Hash({ of, value }: { of: string; value: string }): VNode {
  return (
    <div>
      {of}: <code>{value}</code>
    </div>
  );
}

function* leaves(value: object, prefix = ""): Generator<[string, string]> {
  for (const [key, child] of Object.entries(value)) {
    if (typeof child === "object" && child !== null && !Array.isArray(child)) {
      yield* leaves(child, `${prefix}${key}.`);
    } else {
      yield [
        prefix + key,
        recipeValue(Array.isArray(child) ? JSON.stringify(child) : String(child)),
      ];
    }
  }
}

/** "wasm", or "wasm to iteration 1,000, tfjs-cpu to iteration 2,000". */
function enginesLine({ engines }: RunResult): string {
  if (engines.length === 1) return engines[0].name;
  return engines.map(({ name, to }) => `${name} to iteration ${number(to)}`).join(", ");
}

function endingOf({ completeness, iterations, reason }: RunResult): string {
  const at = `iteration ${number(iterations)}`;
  switch (completeness) {
    case "stopped":
      return `The run was stopped at ${at}: ${reason}`;
    case "failed":
      return `The run failed at ${at}: ${reason}`;
    default:
      return `The log breaks off after ${at}: the run was killed, or is still going on`;
  }
}
