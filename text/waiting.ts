/** How a training's time was spent, where its images are read beside it. */
import { duration, percent, significant } from "./numbers.ts";

/** From this share of a training's time on it is worth a word what to do about waiting. */
const NOTABLE = 0.2;

/**
 * How long a training waited for its images, and how long it computed.
 *
 * @param waited Seconds between asking for a batch and having it.
 * @param seconds All seconds of the same steps.
 * @param advice What shortens the waiting: said where it is a notable share.
 *
 * @example
 * ```ts
 * import { waitingInWords } from "./waiting.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(waitingInWords(1, 20, "Wait less."), "1 s, 5.0%; computing 19 s");
 * assertEquals(waitingInWords(5, 20, "Wait less."), "5 s, 25.0%; computing 15 s. Wait less.");
 * ```
 */
export function waitingInWords(waited: number, seconds: number, advice: string): string {
  const share = seconds > 0 ? waited / seconds : 0;
  const said = (time: number) => time < 10 ? `${significant(time)} s` : duration(time);
  const spent = `${said(waited)}, ${percent(share, 1)}; computing ${said(seconds - waited)}`;
  return share < NOTABLE ? spent : `${spent}. ${advice}`;
}

/** What shortens the waiting of a training of ours. */
export const READ_AHEAD =
  "More --workers read further ahead, while there are cores for them; the result stays the same.";
