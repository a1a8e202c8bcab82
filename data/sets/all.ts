/** Every data set, a line each, by the name that recipes and commands give it. */
export { CIFAR10 as cifar10 } from "./cifar10.ts";
export { CIFAR100 as cifar100 } from "./cifar100.ts";
export { SHAPES10 as shapes10 } from "./shapes10.ts";
