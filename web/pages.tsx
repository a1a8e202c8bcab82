/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/** The pages that run in a browser, each one file that requests nothing. */
import { render } from "preact-render-to-string";
import { sha256 } from "../files/mod.ts";
import { style } from "../reports/page/mod.ts";
import { App } from "./audit/app.tsx";
import { auditStyle } from "./audit/style.ts";
import { App as TrainApp } from "./train/app.tsx";
import { trainStyle } from "./train/style.ts";

/** What `deno task web:bundle` makes of the programs: their texts by name. */
export interface Bundle {
  /** The audit page's own. */
  readonly audit: string;
  /** Its worker's. */
  readonly auditWorker: string;
  /** The training page's own. */
  readonly train: string;
  /** Its worker's. */
  readonly trainWorker: string;
}

/** One page. */
export interface WebPage {
  /** The whole file. */
  readonly html: string;
  /** Its content policy: it stands in the page, and a server may send it as well. */
  readonly policy: string;
}

/**
 * The audit's page.
 *
 * @param bundle The programs.
 * @returns One file that works from any server, from none, and without a network.
 */
export function auditWebPage(
  { audit, auditWorker }: Pick<Bundle, "audit" | "auditWorker">,
): WebPage {
  return page({
    title: "Why is your ResNet stuck? An audit in the browser",
    description:
      "Drop a checkpoint, an ONNX file or a recording of a training: which statements of Deep " +
      "Residual Learning it breaks, and what to change first. Nothing is uploaded.",
    style: style + auditStyle,
    body: render(<App />),
    program: audit,
    worker: auditWorker,
  });
}

/**
 * The page that trains.
 *
 * @param bundle The programs.
 * @returns One file that works from any server, from none, and without a network.
 */
export function trainWebPage(
  { train, trainWorker }: Pick<Bundle, "train" | "trainWorker">,
): WebPage {
  return page({
    title: "Train a residual network in the browser",
    description: "One button: a ResNet-8 is trained on this computer, with its curves, its " +
      "filters and the paper's checklist as it goes. Nothing is uploaded.",
    style: style + trainStyle,
    body: render(<TrainApp />),
    program: train,
    worker: trainWorker,
  });
}

interface Parts {
  readonly title: string;
  readonly description: string;
  readonly style: string;
  /** HTML of what is seen before the program runs. */
  readonly body: string;
  readonly program: string;
  /** The worker's program; the page makes workers of it. */
  readonly worker: string;
}

/** Puts a page together. The policy lets run what has these hashes, and lets nothing out. */
function page({ title, description, style, body, program, worker }: Parts): WebPage {
  const script = embeddable(program);
  const hash = Uint8Array.fromHex(sha256(script)).toBase64();
  const policy = [
    "default-src 'none'",
    "connect-src 'none'",
    `script-src 'sha256-${hash}' 'wasm-unsafe-eval'`,
    // Programs of workers come from the page itself, which the policy holds for.
    "worker-src blob:",
    "style-src 'unsafe-inline'",
    "img-src data: blob:",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const html = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="referrer" content="no-referrer">
<meta name="description" content="${description}">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<div id="app">${body}</div>
<script type="text/plain" id="worker">${embeddable(worker)}</script>
<script type="module">${script}</script>
</body>
</html>
`;
  return { html, policy };
}

/**
 * A program as it may stand within a page: what would end its element there is written otherwise.
 *
 * @throws {Error} If that is not possible without changing it.
 */
function embeddable(program: string): string {
  const text = program.replaceAll("</script", "<\\/script").replaceAll("<!--", "\\x3c!--");
  if (/<script/i.test(text)) throw new Error("a program must not hold the beginning of a script");
  return text;
}
