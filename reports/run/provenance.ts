/** What one needs to repeat a run. */
import type { StartEvent } from "../../log/mod.ts";
import { commandLine, moment, number } from "../../text/mod.ts";
import { type Block, type Cell, heading, table } from "../page/blocks.ts";
import type { Subject } from "./subject.ts";

/** The section: commands first, hashes folded. */
export function provenance({ run }: Subject): Block[] {
  const { start, resumes, outcome } = run;
  const { data } = start;
  const rows: [string, Cell][] = [
    ["Started", moment(start.time)],
    ...(outcome ? [["Ended", moment(outcome.time)] as [string, string]] : []),
    ["Command", { code: commandLine(start.command) }],
    ...processRows(start),
    ["Seed", String(start.seed)],
    ...resumes.flatMap((resume): [string, Cell][] => [
      ["Resumed", moment(resume.time)],
      ["Command", { code: commandLine(resume.command) }],
      ...processRows(resume),
    ]),
    [
      "Images",
      `${number(data.trainingImages)} training, ${number(data.validationImages)} validation, ${
        number(data.testImages)
      } test`,
    ],
  ];
  const hashes: [string, Cell][] = [
    ...(start.startWeights
      ? [[
        "Starting weights",
        hashesOf({ [start.startWeights.path]: start.startWeights.sha256 }),
      ] as [string, Cell]]
      : []),
    ["Data", hashesOf(data.hashes)],
    ["Split", hashesOf({ ...data.splitHashes })],
    ["Mean", hashesOf({ [`of ${data.mean.of}`]: data.mean.sha256 })],
    ...(outcome?.type === "end"
      ? [["Final weights", { code: outcome.weightsSha256 }] as [string, Cell]]
      : []),
  ];
  return [
    heading(2, "Provenance"),
    table("provenance", "What one needs to repeat the run", ["", ""], rows, "wide-table"),
    {
      kind: "folded",
      summary: "Hashes of the data, the split and the weights",
      blocks: [table("hashes", "SHA-256", ["", ""], hashes, "wide-table")],
    },
  ];
}

/** What a start and a resume both say of the process. */
function processRows(
  { engine, versions, revision }: Pick<StartEvent, "engine" | "versions" | "revision">,
): [string, Cell][] {
  const list = (values: object) =>
    Object.entries(values).map(([name, value]) => `${name} ${value}`).join(", ");
  return [
    ["Engine", `${engine.name}: ${engine.reason}`],
    ["Device", engine.device.summary],
    ["Device details", list(engine.device.details)],
    ["Versions", list(versions)],
    ["Revision", revision === null ? "no working copy" : { code: revision }],
  ];
}

function hashesOf(hashes: Readonly<Record<string, string>>): Cell {
  return { lines: Object.entries(hashes).map(([of, value]) => [`${of}: `, { code: value }]) };
}
