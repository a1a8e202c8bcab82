/** The engine `webgpu`, and where the time of its steps goes. */
export { webgpuEngine } from "./factory.ts";
export { type KernelProfile, profileStep, type StepProfile } from "./_profile.ts";
