import { assertEquals } from "@std/assert";
import { recordingChanges } from "./advice.ts";

const order = (...ids: string[]) =>
  recordingChanges(ids.map((id) => ({ id, requirement: "", evidence: "" })))
    .map(({ rule }) => rule);

Deno.test("a seed that is set again explains the crops that come again, and comes first", () => {
  assertEquals(order("views-over-epochs", "order-over-epochs", "labels"), [
    ...["labels", "order-over-epochs", "views-over-epochs"],
  ]);
  assertEquals(order("order-over-epochs", "same-preparation"), [
    ...["same-preparation", "order-over-epochs"],
  ]);
});

Deno.test("what makes a loss grow without end comes before the loss that did", () => {
  assertEquals(order("finite", "training-mode", "mean", "scale"), [
    ...["training-mode", "scale", "finite", "mean"],
  ]);
  assertEquals(order("mean", "finite"), ["finite", "mean"]);
});

Deno.test("an enlarging crop is named, not the views that it decides", () => {
  assertEquals(order("crop"), ["crop"]);
  assertEquals(order("crop", "view-of-each-image"), ["view-of-each-image"]);
});

Deno.test("what costs more by the table of costs comes first, what is not known keeps its place", () => {
  assertEquals(order("evaluation-mode", "depth", "labels", "augmentation"), [
    ...["labels", "augmentation", "evaluation-mode", "depth"],
  ]);
  assertEquals(order("augmentation", "shuffled", "same-preparation"), [
    ...["same-preparation", "augmentation", "shuffled"],
  ]);
});
