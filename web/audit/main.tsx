/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** The audit page's program. */
import { hydrate } from "preact";
import { App } from "./app.tsx";
import { Auditor } from "./start.ts";

const auditor = new Auditor(document.getElementById("worker")!.textContent);
hydrate(
  <App start={(asked, tell, seconds) => auditor.audit(asked, tell, seconds)} />,
  document.getElementById("app")!,
);
