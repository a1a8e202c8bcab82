/** The engines on libtensorflow, and how its native part is installed. */
export { composedTensorflowEngine, tensorflowEngine, tensorflowGpuEngine } from "./factory.ts";
export { checkComputation, loadBackend } from "./_backend.ts";
export { provision, TENSORFLOW_VERSION } from "./_provision.ts";
