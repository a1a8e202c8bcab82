/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** The audit page's program. */
import { hydrate } from "preact";
import { App } from "./app.tsx";
import { startAudit } from "./start.ts";

const program = document.getElementById("worker")!.textContent;
hydrate(
  <App start={(asked, tell, seconds) => startAudit(program, asked, tell, seconds)} />,
  document.getElementById("app")!,
);
