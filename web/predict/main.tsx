/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** The program of the page that predicts. */
import { hydrate } from "preact";
import { Jobs } from "../page/jobs.ts";
import { App } from "./app.tsx";
import type { Asked } from "./messages.ts";

const jobs = new Jobs<Asked>(document.getElementById("worker")!.textContent, "predict");
hydrate(
  <App start={(asked, tell, seconds) => jobs.begin(asked, tell, seconds)} />,
  document.getElementById("app")!,
);
