import { assert, assertStringIncludes } from "@std/assert";
import { architectureSubject, audit } from "../../audit/mod.ts";
import { formatAudit } from "./format.ts";

Deno.test("the text names every rule, with those that fail before those that pass", async () => {
  const report = await audit(architectureSubject("resnet18-cifar"));
  const text = formatAudit(report);
  for (const { id } of report.judgements) assertStringIncludes(text, id);
  assert(text.indexOf("FAIL stem") < text.indexOf("pass input"), text);
});
