/**
 * Preloaded into a command (`deno run --preload`): its last line is then the
 * peak of the process's resident memory, in bytes.
 */
import process from "node:process";

addEventListener("unload", () => console.log(1024 * process.resourceUsage().maxRSS));
