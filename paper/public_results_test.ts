import { assert, assertEquals, assertMatch } from "@std/assert";
import { publicResults } from "./public_results.ts";
import { TABLE_6 } from "./table_6.ts";

const NETS = Object.keys(TABLE_6);

// Read from the tables of the two READMEs, in percent, at the revisions that the sources name.
Deno.test("the figures are those that the repositories state", () => {
  const of = (owner: string) =>
    NETS.flatMap((net) =>
      publicResults(net).filter(({ implementation }) => implementation.startsWith(`${owner}/`))
        .map(({ error }) => [net, (100 * error).toFixed(2)])
    );
  assertEquals(of("akamaster"), [
    ...[["resnet20", "8.27"], ["resnet32", "7.37"], ["resnet44", "6.90"], ["resnet56", "6.61"]],
    ["resnet110", "6.32"],
  ]);
  assertEquals(of("gcr"), [
    ...[["resnet20", "8.29"], ["resnet32", "7.63"], ["resnet44", "7.14"], ["resnet56", "6.94"]],
    ["resnet110", "6.73"],
  ]);
  assertEquals(of("hysts"), [["resnet110", "6.52"]]);
});

Deno.test("every figure names its network, its revision and its conditions", () => {
  const all = NETS.flatMap(publicResults);
  assertEquals(all.length, 11);
  for (const { implementation, source, architecture: net, conditions } of all) {
    assert(NETS.includes(net));
    assertMatch(source, new RegExp(`^https://github.com/${implementation}/blob/[0-9a-f]{40}/`));
    assert(conditions.length > 0);
  }
  assertEquals(publicResults("toString"), []);
});
