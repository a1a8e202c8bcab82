/** @jsxRuntime automatic */
/** @jsxImportSource preact */
/// <reference lib="dom" />
/** The program of the page that trains. */
import { hydrate } from "preact";
import { App } from "./app.tsx";
import { startTraining } from "./start.ts";

const program = document.getElementById("worker")!.textContent;
hydrate(
  <App start={(tell) => startTraining(program, tell)} />,
  document.getElementById("app")!,
);
