import { assertStringIncludes } from "@std/assert";
import configuration from "../deno.json" with { type: "json" };
import { helpText, USER_TASKS } from "./help.ts";

Deno.test("help names every command of cli/ with its description, in one screen", async () => {
  const text = helpText();
  for (const name of USER_TASKS) {
    assertStringIncludes(text, `deno task ${name}`);
    assertStringIncludes(text, configuration.tasks[name].description);
  }
  // A command that nobody is told of is lost.
  for await (const { name } of Deno.readDir(new URL(".", import.meta.url))) {
    const command = /^([a-z]\w*)\.ts$/.exec(name)?.[1];
    if (!command || /_test$|^(help|mod)$/.test(command)) continue;
    assertStringIncludes(text, `deno task ${command.replace("_", ":")}`);
  }
});
