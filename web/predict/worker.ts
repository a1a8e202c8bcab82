/** The worker of the page that predicts: the same code as the command's. */
import "../page/without_eval.ts";
import { predict } from "../../reports/predict/mod.ts";
import { printableJson } from "../../text/mod.ts";
import { serve } from "../page/serve.ts";
import type { Asked } from "./messages.ts";

serve<Asked>(async ({ weights, photographs, preprocess, padding, data }, tell) => {
  tell("reading");
  const { text, json, page } = await predict(weights, photographs, {
    ...{ preprocess, zeroChannels: padding, from: data === undefined ? {} : { path: data } },
  });
  return { text, json: `${printableJson(json)}\n`, page: page() };
});
