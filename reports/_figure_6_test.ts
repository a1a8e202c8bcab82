import { assertEquals } from "@std/assert";
import { figure6Axis } from "./_figure_6.ts";

Deno.test("an axis ends at 20% where that shows half of each line", () => {
  const line = (...errors: number[]) => ({ points: errors.map((y, x) => [x, y] as const) });
  assertEquals(figure6Axis([line(90, 19, 8, 7), line(8.5)]).top, 20);
  assertEquals(figure6Axis([line(90, 40, 19, 8)]).top, 20);
  // A shortened schedule that only ends there, and one of two lines that never does.
  assertEquals(figure6Axis([line(90, 40, 30, 17)]), { said: "" });
  assertEquals(figure6Axis([line(10, 9), line(60, 50)]).top, undefined);
});
