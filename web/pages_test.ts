import { assert, assertEquals } from "@std/assert";
import { webPage } from "./mod.ts";

Deno.test("nothing in a program ends its element in the page", () => {
  const program = '"</ScRiPt>" + "</script>"';
  const { html } = webPage("audit", { program, worker: program });
  // Each element's own end, in a page that has two.
  assertEquals(html.match(/<\/script/gi)?.length, 2);
  assert(html.includes('"<\\/ScRiPt>" + "<\\/script>"'));
});
