import { assertEquals } from "@std/assert";
import { figure6Axis } from "./figure_6.ts";

Deno.test("an axis ends at 20% where that shows nine tenths of each line", () => {
  const line = (above: number, below: number) => ({
    points: Array.from({ length: above + below }, (_, x) => [x, x < above ? 50 : 9] as const),
  });
  assertEquals(figure6Axis([line(1, 9), line(0, 1)]).top, 20);
  // Half of the run would be hidden, and one of two lines.
  assertEquals(figure6Axis([line(5, 5)]), { said: "" });
  assertEquals(figure6Axis([line(0, 9), line(2, 8)]).top, undefined);
});
