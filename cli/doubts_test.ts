import { assertEquals, assertStringIncludes } from "@std/assert";
import { architecture } from "../resnet/mod.ts";
import { doubtsOn } from "./_doubts.ts";

const tested = (errors: number, set = "cifar10") =>
  doubtsOn({ errors, images: 10_000, classes: 10, graph: architecture("resnet20"), set });

Deno.test("near chance it is said what may be wrong, not the error alone", () => {
  const lines = tested(9111).join(" ");
  for (const part of ["guessing", "prepared otherwise", "zero channels", "--preprocess auto"]) {
    assertStringIncludes(lines, part);
  }
  // Six standard deviations below 9,000 are 8,820.
  assertEquals([tested(8821).length, tested(8819)[0].includes("guessing")], [3, false]);
});

Deno.test("far from the paper's nets it is said how to look further; near them nothing is", () => {
  assertStringIncludes(tested(6027).join(" "), "Table 6");
  assertEquals([tested(827), tested(1014), tested(6027, "cifar100")], [[], [], []]);
});
