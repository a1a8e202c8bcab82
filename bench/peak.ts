/** What one core can do at most: 128-bit multiply-adds that wait for nothing. */
import {
  float4,
  get,
  hasRelaxedSimd,
  int,
  Module,
  plainMultiplyAdd,
  relaxedMultiplyAdd,
  repeat,
  set,
  store,
} from "../engine/wasm/assembler.ts";

/** Enough independent sums to hide an instruction's latency; all stay in registers. */
const SUMS = 12;
const TURNS = 2_000_000;

/**
 * Measures the peak of one core in WebAssembly.
 *
 * @returns Multiply-adds of single floats a second; twice that is FLOP/s.
 */
export function peakMultiplyAdds(): number {
  const multiplyAdd = hasRelaxedSimd() ? relaxedMultiplyAdd : plainMultiplyAdd;
  const module = new Module(1, 1);
  module.function("peak", [], (f) => {
    const sums = f.vectors(SUMS);
    const [factor] = f.vectors(1);
    const turn = f.i32();
    return [
      set(factor, float4(0.5)),
      repeat(
        turn,
        TURNS,
        sums.map((sum) => set(sum, multiplyAdd(get(sum), get(factor), get(factor)))),
      ),
      sums.map((sum, i) => store(int(0), get(sum), 16 * i)),
    ];
  });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
    env: { memory },
  });
  const peak = exports.peak as () => void;
  let best = Infinity;
  for (let run = 0; run < 8; run++) {
    const begun = performance.now();
    peak();
    best = Math.min(best, performance.now() - begun);
  }
  return SUMS * 4 * TURNS / (best / 1000);
}
