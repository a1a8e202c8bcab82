/** The engine `wasm`, and where the time of its steps goes. */
export { wasmEngine } from "./factory.ts";
export type { GroupProfile, KernelGroup } from "./_clock.ts";
export { profileStep, type StepProfile } from "./_profile.ts";
export type { ThreadAsked, ThreadTold } from "./thread_asked.ts";
