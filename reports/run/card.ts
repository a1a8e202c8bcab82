/** A run's model card, in the form that Hugging Face reads: what the weights are and how good. */
import { isOfPhotographs, isOpen } from "../../recipes/mod.ts";
import { number, percent, short } from "../../text/mod.ts";
import { setName } from "../_format.ts";
import { type Block, heading, type Report } from "../page/blocks.ts";
import { renderMarkdown } from "../page/markdown.ts";
import { checklistCounts } from "./checklist.ts";
import { titleOf } from "./headline.ts";
import { recipe } from "./recipe.ts";
import type { Subject } from "./subject.ts";

/**
 * The card of a finished run.
 *
 * @param subject The run and its result.
 * @returns Markdown with front matter (JSON, which is YAML); undefined of a run without a result.
 *
 * Source: https://huggingface.co/docs/hub/model-cards
 */
export function modelCard(subject: Subject): string | undefined {
  const { run, result } = subject;
  const { testError, topFiveError, data } = result;
  const { startWeights } = run.start;
  if (!testError) return undefined;
  const metadata = {
    tags: ["image-classification", "resnet", "safetensors"],
    datasets: [data.set],
    metrics: ["accuracy"],
    "model-index": [{
      name: result.run,
      results: [{
        task: { type: "image-classification" },
        dataset: { name: setName(data.set), type: data.set, split: "test" },
        metrics: [
          { type: "accuracy", value: 1 - testError.error },
          ...(topFiveError
            ? [{ type: "accuracy", name: "top-5 accuracy", value: 1 - topFiveError.error }]
            : []),
        ],
      }],
    }],
  };
  const section = isOfPhotographs(run.start.recipe) ? "3.4" : "4.2";
  const departures =
    result.recipe.departures.filter(({ field }) => !isOpen(run.start.recipe, field)).length;
  const body: Block[] = [
    {
      kind: "text",
      text: `${percent(testError.error)} test error (${number(testError.errors)} of ${
        number(testError.images)
      } images of ${setName(data.set)} wrong${
        topFiveError ? `; top-5 error ${percent(topFiveError.error)}` : ""
      }) after the last of ${number(result.iterations)} iterations, seed ${result.seed}. ${
        departures === 0
          ? `Trained as section ${section} of “Deep Residual Learning for Image Recognition” says (arXiv 1512.03385).`
          : `Trained as section ${section} of “Deep Residual Learning for Image Recognition” (arXiv 1512.03385) says but for ${
            number(departures)
          } ${departures === 1 ? "field" : "fields"} of the recipe, below.`
      }`,
    },
    ...(startWeights
      ? [{
        kind: "text" as const,
        text: [
          "It began from given weights, ",
          { code: startWeights.path },
          ", whose SHA-256 is ",
          { code: startWeights.sha256 },
          ".",
        ],
      }]
      : []),
    ...(data.notice ? [{ kind: "text" as const, text: data.notice }] : []),
    heading(2, "The weights"),
    {
      kind: "list",
      items: [
        ["File: ", { code: "weights.safetensors" }, ", with PyTorch's names and layouts."],
        `Input: ${preparation(subject)}.`,
        `Output: ${number(run.start.classes.length)} logits: ${
          run.start.classes.slice(0, 20).map(short).join(", ")
        }${run.start.classes.length > 20 ? ", ..." : ""}.`,
        `${number(result.architecture.parameters)} trainable parameters, ${
          number(result.architecture.multiplyAdds / 1e6, 2)
        } million multiply-adds an image.`,
      ],
    },
    ...recipe(subject),
    heading(2, "The paper's checklist"),
    { kind: "text", text: checklistCounts(result.checklist, run.start.recipe) },
  ];
  const report: Report = { eyebrow: "", title: titleOf(result), head: [], body };
  return `---\n${JSON.stringify(metadata, null, 2)}\n---\n\n${renderMarkdown(report)}`;
}

function preparation({ run: { start: { recipe: { data } } } }: Subject): string {
  const steps = [
    data.mean === "none"
      ? "no mean subtracted"
      : data.mean === "per-image"
      ? "each image's own channel means subtracted"
      : `the ${data.mean} mean subtracted`,
    ...(data.std === "none" ? [] : [`divided by the ${data.std} standard deviation`]),
  ];
  const { size } = data.photographs ?? {};
  const shape = size === undefined ? "" : ` of ${size}x${size}`;
  return `RGB images${shape} with pixels in ${data.pixelScale}, ${steps.join(", ")}`;
}
