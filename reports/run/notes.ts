/** What a reader of a run's figures should know: warnings, and where the run went on. */
import { moment, number } from "../../text/mod.ts";
import { type Block, heading, type Line } from "../page/blocks.ts";
import type { Subject } from "./subject.ts";

/** The section, where there is anything to say. */
export function notes({ run: { warnings, resumes } }: Subject): Block[] {
  if (warnings.length + resumes.length === 0) return [];
  const items: Line[] = [
    ...warnings.map(({ iteration, message }): Line =>
      iteration === undefined ? message : [message, { muted: ` (iteration ${number(iteration)})` }]
    ),
    ...resumes.map(({ iteration, time, engine }) =>
      `Resumed at ${moment(time)} from the checkpoint of iteration ${
        number(iteration)
      } on ${engine.name} (${engine.device.summary}).`
    ),
  ];
  return [heading(2, "Warnings and interruptions"), { kind: "list", items }];
}
