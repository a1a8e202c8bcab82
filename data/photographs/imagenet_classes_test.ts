import { assert, assertEquals } from "@std/assert";
import { IMAGENET_CLASSES } from "./imagenet_classes.ts";

Deno.test("the 1,000 classes: sorted by WNID, each once, names at the places that are known", () => {
  const wnids = IMAGENET_CLASSES.map(({ wnid }) => wnid);
  assertEquals(new Set(wnids).size, 1000);
  assertEquals(wnids, wnids.toSorted());
  assert(IMAGENET_CLASSES.every(({ wnid, name }) => /^n\d{8}$/.test(wnid) && name.length > 1));
  assertEquals(new Set(IMAGENET_CLASSES.map(({ name }) => name)).size, 1000);
  // WordNet's nouns of these numbers, and the places that published networks give them.
  const known: Readonly<Record<number, [string, string]>> = {
    0: ["n01440764", "tench"],
    207: ["n02099601", "golden retriever"],
    281: ["n02123045", "tabby"],
    282: ["n02123159", "tiger cat"],
    999: ["n15075141", "toilet tissue"],
  };
  for (const [place, [wnid, name]] of Object.entries(known)) {
    assertEquals(IMAGENET_CLASSES[Number(place)], { wnid, name });
  }
});
