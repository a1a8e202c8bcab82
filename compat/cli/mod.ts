export { default as parseArgs } from "minimist";
