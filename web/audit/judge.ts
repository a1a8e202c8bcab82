/** One audit in a worker: the same code as the command's, on files that were given to the page. */
import { mount } from "../../files/browser/mod.ts";
import { auditTarget, findTarget, reportJson } from "../../reports/audit/mod.ts";
import type { Asked, Told } from "./messages.ts";

/** The language's own errors: what has one of these names is a defect of ours. */
const DEFECTS = /^(Aggregate|Eval|Internal|Range|Reference|Syntax|Type|URI)?Error$/;

/**
 * Audits one target.
 *
 * @param asked The files and which of them is judged.
 * @param tell Gets what is being done, then the report or why there is none.
 */
export async function judge(asked: Asked, tell: (told: Told) => void): Promise<void> {
  const { files, target, data, engine, threads } = asked;
  mount(new Map(files));
  try {
    const { json, text, page, markdown, status } = await auditTarget(await findTarget(target), {
      ...{ data, engine, threads },
      told: {
        line: (text) => tell({ type: "line", text }),
        passing: (text) => tell({ type: "passing", text }),
      },
    });
    tell({
      type: "judged",
      judged: {
        ...{ json: reportJson(json), text, status },
        ...(page ? { page: page() } : {}),
        ...(markdown ? { markdown: markdown() } : {}),
      },
    });
  } catch (error) {
    tell({ type: "refused", message: reasonOf(error) });
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && !DEFECTS.test(error.name)) return error.message;
  const stack = error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
  return `unexpected, please report it\n${stack}`;
}
