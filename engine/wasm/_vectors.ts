/**
 * Whether V8 joins neighbouring vectors of 128 bits into one register of 256.
 *
 * WebAssembly's vectors have 128 bits. V8's revectorizer makes one 256-bit operation of two
 * where the processor has them and nothing lies between that may not change places. Bounds
 * checks do: each access to memory has one where, as in Deno, no signal handler stands in for
 * them. So it takes two flags, both off by default: `--experimental-wasm-revectorize` and
 * `--no-wasm-bounds-checks` (`deno task v8-flags`). Results are the same, bit for bit.
 *
 * Without bounds checks a kernel is as safe as native code. Its addresses are literals of the
 * layout and loops over literal shapes; what comes from outside, the images' numbers, labels and
 * crops, is checked before a step. The tests run with the checks on.
 *
 * A program can't read V8's flags: it times code that V8 can join against the same operations
 * in an order that it can't.
 */
import {
  add,
  advance,
  type Code,
  get,
  inTurn,
  load,
  type Local,
  Module,
  mul,
  repeat,
  set,
  store,
  when,
} from "./assembler.ts";
import { range } from "./kernels/convolution.ts";

/** Bytes of each of two arrays: in the first-level cache of any processor. */
const BYTES = 4096;
const VECTORS = 4;
/** Products and sums of each vector, so that it is them that take the time. */
const OPERATIONS = 6;
/** Calls that are timed together, and how often both are timed: some 20 ms, most of it warm-up. */
const CALLS = 500;
const ROUNDS = 30;
/** Joined code takes half the time of the other. */
const JOINED_SHARE = 0.7;

let known: 1 | 2 | undefined;

/** 2 where two neighbouring vectors become one register, else 1; measured once a process. */
export function joinedVectors(): 1 | 2 {
  return known ??= measure();
}

function measure(): 1 | 2 {
  const pages = 1;
  const module = new Module(pages, pages);
  // One function, so that both loops are optimised at the same time.
  module.function("values", ["i32"], (f, joinable) => {
    const [block, from, to] = [f.i32(), f.i32(), f.i32()];
    const results = f.vectors(VECTORS);
    const value = (result: Local, v: number): Code[] => [
      set(result, load(from, 16 * v)),
      ...range(OPERATIONS).map(() => set(result, add(mul(get(result), get(result)), get(result)))),
      store(to, get(result), BYTES + 16 * v),
    ];
    const loop = (body: Code) => [
      repeat(block, BYTES / (16 * VECTORS), [
        body,
        [from, to].map((pointer) => advance(pointer, 16 * VECTORS)),
      ]),
    ];
    return when(
      get(joinable),
      loop(inTurn(results.map(value))),
      loop(results.map(value)),
    );
  });
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
    env: { memory },
  });
  const values = exports.values as (joinable: number) => void;
  const time = (joinable: number): number => {
    const begun = performance.now();
    for (let call = 0; call < CALLS; call++) values(joinable);
    return performance.now() - begun;
  };
  let [joined, apart] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS; round++) {
    joined = Math.min(joined, time(1));
    apart = Math.min(apart, time(0));
  }
  return joined < JOINED_SHARE * apart ? 2 : 1;
}
