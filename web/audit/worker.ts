/** The audit's worker: the same code as the command's, on files that were given to the page. */
import "../page/without_eval.ts";
import { auditTarget, findTarget, reportJson } from "../../reports/audit/mod.ts";
import { serve } from "../page/serve.ts";
import type { Asked } from "./messages.ts";

serve<Asked>(async ({ target, as, data }, tell) => {
  const { json, text, page, markdown } = await auditTarget(await findTarget(target), {
    ...{ as, data, told: { line: tell, passing: tell } },
  });
  return {
    ...{ json: reportJson(json), text },
    ...(page ? { page: page() } : {}),
    ...(markdown ? { markdown: markdown() } : {}),
  };
});
