/** The first thing that a run's report says: its result, and what one must know to read it. */
import { IMAGENET_NETS } from "../../paper/mod.ts";
import { Epochs, isOfPhotographs, type Recipe } from "../../recipes/mod.ts";
import {
  duration,
  goingOn,
  number,
  percent,
  READ_AHEAD,
  significant,
  waitingInWords,
} from "../../text/mod.ts";
import { networkName, setName } from "../_format.ts";
import { paperError, table6Name } from "../_paper.ts";
import { type Block, type Line, notice, numbers, table } from "../page/blocks.ts";
import type { Subject } from "./subject.ts";
import type { RunResult, TestError } from "./result.ts";

/** "ResNet-20 on CIFAR-10". */
export function titleOf({ architecture, data }: RunResult): string {
  return `${networkName(architecture.name)} on ${setName(data.set)}`;
}

/** Result, notices and facts. */
export function headline({ run, result }: Subject): Block[] {
  const { testError } = result;
  return [
    testError
      ? errorBlock(testError, "test error", "test images wrong after the last step")
      : { kind: "result", figure: "No result", text: endingOf(result) },
    ...dataNotice(result),
    ...verdict(result, run.start.recipe),
    { kind: "facts", facts: facts({ run, result }) },
  ];
}

/** An error as the first thing on a page. */
export function errorBlock(
  { error, errors, images, interval }: TestError,
  what: string,
  wrong: string,
): Block {
  return {
    kind: "result",
    figure: percent(error),
    text: `${what}, 95% interval ${percent(interval.lower)} to ${percent(interval.upper)}`,
    note: `${number(errors)} of ${
      number(images)
    } ${wrong}; Wilson interval for that number of images, not for the spread over seeds`,
  };
}

function facts({ run, result }: Subject): [string, Line][] {
  const { trainingSeconds, waiting, imagesPerSecond, bestValidation, architecture } = result;
  const { schedule } = run.start.recipe;
  const epochs = new Epochs(run.start.recipe);
  const at = (iteration: number) =>
    `iteration ${number(iteration)} (epoch ${number(epochs.of(iteration), 2)})`;
  const { best, topFiveError: topFive } = result;
  const reference = paperError(run.start);
  const all: [string, Line | undefined][] = [
    ["The paper's test error (Table 6)", reference],
    ["Top-5 test error", topFive ? topFiveInWords(topFive) : undefined],
    ["Seed", String(result.seed)],
    ["Iterations", `${number(result.iterations)} of ${number(schedule.iterations)}`],
    ["Epochs", number(epochs.of(result.iterations), 2)],
    [
      "Ended early",
      result.stoppedEarly ? "no better value in as many looks as the recipe says" : undefined,
    ],
    [
      `Test error of the best weights, by ${best?.watched.replace("-", " ")} (not the result)`,
      best
        ? `${percent(best.error)}${
          best.error5 === undefined ? "" : `, top-5 ${percent(best.error5)}`
        }, of ${at(best.iteration)}, where it was ${
          best.watched.endsWith("error") ? percent(best.value) : significant(best.value)
        }${isHeldOut(run.start.recipe) ? "" : "; chosen on the images that it was tested on"}`
        : undefined,
    ],
    ["Engine", result.engines.length > 0 ? enginesLine(result) : undefined],
    ["Training time", trainingSeconds === null ? undefined : duration(trainingSeconds)],
    [
      "Waiting for images",
      waiting === null ? undefined : waitingInWords(
        waiting.waitingSeconds,
        waiting.waitingSeconds + waiting.computingSeconds,
        READ_AHEAD,
      ),
    ],
    [
      "Training speed (median)",
      imagesPerSecond === null ? undefined : `${number(imagesPerSecond)} images/s`,
    ],
    ["Parameters", number(architecture.parameters)],
    ["Multiply-adds per image", `${number(architecture.multiplyAdds / 1e6, 2)} million`],
    [
      "Best validation error (not the result)",
      bestValidation
        ? `${percent(bestValidation.error)} at iteration ${number(bestValidation.iteration)}`
        : undefined,
    ],
    ["Files", filesLine(run.files.some(({ kind }) => kind === "weights"))],
    ["Next", nextCommand(result, (run.resumes.at(-1) ?? run.start).command)],
  ];
  return all.filter((fact): fact is [string, Line] => fact[1] !== undefined);
}

/** "1.20%, 95% interval ...: 120 of 10,000 without their class among the five likeliest". */
export function topFiveInWords({ error, errors, images, interval }: TestError): string {
  return `${percent(error)}, 95% interval ${percent(interval.lower)} to ${
    percent(interval.upper)
  }: ${number(errors)} of ${number(images)} without their class among the five likeliest`;
}

/** Whether the test's images are others than those that the best weights were chosen by. */
const isHeldOut = (recipe: Recipe): boolean =>
  !isOfPhotographs(recipe) || !recipe.best?.watched.startsWith("validation");

/** What to type now: goes on with the run, or has it judged. FOLDER is where this page lies. */
function nextCommand({ completeness }: RunResult, command: readonly string[]): Line {
  return completeness === "finished"
    ? [{ code: "deno task audit FOLDER" }, " judges this run; FOLDER is where this page lies"]
    : [{ code: goingOn(command) }, " goes on with it"];
}

function filesLine(weights: boolean): Line {
  const files = [
    ...(weights ? ["weights.safetensors"] : []),
    "steps.csv",
    "result.json",
    "events.jsonl",
  ];
  return files.flatMap((name, i) => [...(i > 0 ? [", "] : []), { text: name, href: name }]);
}

function dataNotice({ data, testError }: RunResult): Block[] {
  const { notice: said, errorFloor, linearModelError } = data;
  if (!said) return [];
  const builtIn = errorFloor !== undefined;
  const rows = ([
    ["This network", testError?.error],
    ["A linear model on the same images", linearModelError],
    ["Error floor: share of wrong test labels", errorFloor],
  ] as const).flatMap(([name, error]) => error === undefined ? [] : [[name, percent(error)]]);
  return [
    builtIn ? notice(`${sentenceCase(setName(data.set))}.`, said) : notice("", said, "calm"),
    ...(builtIn && rows.length > 0
      ? [table("built-in", "Test error on these images", ["", numbers("")], rows, "plain")]
      : []),
  ];
}

/** "built-in images (not CIFAR-10)" to "Built-in images, not CIFAR-10". */
function sentenceCase(name: string): string {
  return (name[0].toUpperCase() + name.slice(1)).replace(/ \((.*)\)/, ", $1");
}

function verdict({ paperRun, architecture }: RunResult, recipe: Recipe): Block[] {
  const { differences } = paperRun;
  const photographs = isOfPhotographs(recipe);
  const the = photographs ? "the paper's run on ImageNet, section 3.4" : "the paper's run";
  if (differences.length === 0) {
    return [{
      kind: "text",
      text: `${the[0].toUpperCase()}${the.slice(1)}: nothing that the paper decides is different.`,
    }];
  }
  const net =
    (photographs ? IMAGENET_NETS.includes(architecture.name) : table6Name(architecture.name))
      ? []
      : [`${networkName(architecture.name)}, not one of the paper's nets`];
  const reasons = [
    ...net,
    ...differences.filter((reason) => !reason.startsWith("architecture.name")),
  ];
  return reasons.length === 1
    ? [{ kind: "text", text: `Not ${the}: ${reasons[0]}.` }]
    : [{ kind: "text", text: `Not ${the}:` }, { kind: "list", items: reasons }];
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
