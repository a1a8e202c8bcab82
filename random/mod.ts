/**
 * Counter-based random numbers: the same (seed, stream, position) gives the same
 * number on every engine and machine.
 *
 * @module
 */
export * from "./philox.ts";
