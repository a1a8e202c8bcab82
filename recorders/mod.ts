/**
 * Recorders: what reaches somebody's network, written down beside their
 * training. `pytorch.py` is one for PyTorch, a file of its own to be copied.
 *
 * @module
 */
export * from "./tfjs.ts";
