/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/** The pages that run in a browser, each one file that requests nothing. */
import type { VNode } from "preact";
import { render } from "preact-render-to-string";
import { sha256 } from "../files/mod.ts";
import { style } from "../reports/page/mod.ts";
import { App } from "./audit/app.tsx";
import { auditStyle } from "./audit/style.ts";
import { pageStyle } from "./page/style.ts";
import { App as PredictApp } from "./predict/app.tsx";
import { predictStyle } from "./predict/style.ts";
import { App as TrainApp } from "./train/app.tsx";
import { trainStyle } from "./train/style.ts";

/** What `deno task web:bundle` makes of a page's programs. */
export interface Programs {
  /** The page's own. */
  readonly program: string;
  /** Its worker's; the page makes workers of it. */
  readonly worker: string;
}

/** One page. */
export interface WebPage {
  /** The whole file. */
  readonly html: string;
  /** Its content policy: it stands in the page, and a server may send it as well. */
  readonly policy: string;
}

/** What a page is made of, but for its programs. */
interface Content {
  readonly title: string;
  readonly description: string;
  readonly style: string;
  /** What is seen before the program runs. */
  readonly body: () => VNode;
}

/** The pages, each by the name of its programs and by that of its file. */
export const PAGES = {
  audit: {
    file: "index.html",
    title: "Why is your ResNet stuck? An audit in the browser",
    description:
      "Drop a checkpoint, an ONNX file or a recording of a training: which statements of Deep " +
      "Residual Learning it breaks, and what to change first. Nothing is uploaded.",
    style: auditStyle,
    body: () => <App />,
  },
  train: {
    file: "train.html",
    title: "Train a residual network in the browser",
    description: "One button: a ResNet-8 is trained on this computer, with its curves, its " +
      "filters and the paper's checklist as it goes. Nothing is uploaded.",
    style: trainStyle,
    body: () => <TrainApp />,
  },
  predict: {
    file: "predict.html",
    title: "What does your network take a photograph for?",
    description: "Drop a network and a photograph: the five classes that it holds likeliest. " +
      "Nothing is uploaded.",
    style: predictStyle,
    body: () => <PredictApp />,
  },
} as const satisfies Readonly<Record<string, Content & { readonly file: string }>>;

/**
 * Makes a page.
 *
 * @param name Which.
 * @param programs Its programs.
 * @returns One file that works from any server, from none, and without a network.
 */
export function webPage(name: keyof typeof PAGES, programs: Programs): WebPage {
  return assembled(PAGES[name], programs);
}

/** Puts a page together. The policy lets run what has these hashes, and lets nothing out. */
function assembled(
  { title, description, style: own, body }: Content,
  { program, worker }: Programs,
): WebPage {
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
<style>${style}${pageStyle}${own}</style>
</head>
<body>
<div id="app">${render(body())}</div>
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
  const text = program.replace(/<\/(?=script)/gi, "<\\/").replaceAll("<!--", "\\x3c!--")
    // A program within a page has no address, and where it is no module it may not ask for one.
    .replaceAll("import.meta", "({})");
  if (/<script/i.test(text)) throw new Error("a program must not hold the beginning of a script");
  return text;
}
