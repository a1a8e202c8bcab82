/** Numbers, shares and times as everything here prints them. */

/** One for each count of digits: making one takes as long as formatting a hundred numbers. */
const formats = new Map<number, Intl.NumberFormat>();

/** 64000 to "64,000". */
export function number(value: number, maximumFractionDigits = 0): string {
  let format = formats.get(maximumFractionDigits);
  if (!format) {
    format = new Intl.NumberFormat("en-US", { maximumFractionDigits });
    formats.set(maximumFractionDigits, format);
  }
  return format.format(value);
}

/** A share from 0 to 1 as "7.51%". */
export function percent(share: number, digits = 2): string {
  return `${(share * 100).toFixed(digits)}%`;
}

/** Three significant digits for a quantity of any size. */
export function significant(value: number): string {
  return value === 0 ? "0" : String(Number(value.toPrecision(3)));
}

/** Seconds as "2 h 05 min", "4 min 10 s" or "7 s". */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const two = (value: number) => String(value).padStart(2, "0");
  if (hours > 0) return `${hours} h ${two(minutes)} min`;
  return minutes > 0 ? `${minutes} min ${two(whole % 60)} s` : `${whole} s`;
}

/** "2026-01-02T03:04:05.678Z" to "2026-01-02 03:04:05 UTC". */
export function moment(iso: string): string {
  return `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
