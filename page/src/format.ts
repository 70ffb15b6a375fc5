// How numbers, amounts of money and times are written, the same in all views.
//
// Pure: `now` is an argument. Money is integer micro-dollars until it is text, so no amount has the
// rounding errors of floating point.

const MICROS = 1_000_000;

/** 1234567 → `1,234,567`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Three significant digits and a suffix: 950 → `950`, 12345 → `12.3 k`, 2500000 → `2.5 M`. */
export function compact(value: number): string {
  for (const [unit, suffix] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (Math.abs(value) >= unit * 0.9995) return `${digits(value / unit, 3)} ${suffix}`;
  }
  return digits(value, 3);
}

/**
 * At most `significant` digits, without trailing zeros, and never an exponent: 0.1250 → `0.125`.
 */
export function digits(value: number, significant: number): string {
  if (!Number.isFinite(value)) return "–";
  return value.toLocaleString("en-US", { maximumSignificantDigits: significant });
}

/** A share of 1 as a percentage: 0.1234 → `12.3 %`; what is not quite nothing is `< 0.1 %`. */
export function percent(share: number): string {
  if (!Number.isFinite(share)) return "–";
  if (share > 0 && share < 0.001) return "< 0.1 %";
  if (share < 1 && share > 0.999) return "> 99.9 %";
  return `${(share * 100).toLocaleString("en-US", { maximumFractionDigits: share < 0.1 ? 1 : 0 })} %`;
}

/**
 * Integer micro-dollars as dollars: 1234567 → `$1.234567` with `exact`, else `$1.23`. Amounts below
 * a cent keep two significant digits, so that they do not look like nothing.
 */
export function dollars(micros: number | bigint, { exact = false } = {}): string {
  const whole = BigInt(typeof micros === "bigint" ? micros : Math.round(micros));
  const sign = whole < 0n ? "-" : "";
  const size = whole < 0n ? -whole : whole;
  if (exact) return `${sign}$${grouped(size / 1_000_000n)}.${String(size % 1_000_000n).padStart(6, "0").replace(/0{1,4}$/, "")}`;
  if (size === 0n) return "$0";
  if (size < 10_000n) return `${sign}$${(Number(size) / MICROS).toLocaleString("en-US", { maximumSignificantDigits: 2, maximumFractionDigits: 6 })}`;
  const cents = (size + 5_000n) / 10_000n;
  return `${sign}$${grouped(cents / 100n)}.${String(cents % 100n).padStart(2, "0")}`;
}

/** A duration: 0.4 → `0.4 ms`, 850 → `850 ms`, 1234 → `1.23 s`, 95000 → `1 min 35 s`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 999.5) return `${digits(ms, ms < 10 ? 2 : 3)} ms`;
  if (ms < 59_950) return `${digits(ms / 1000, 3)} s`;
  const seconds = Math.round(ms / 1000);
  const parts = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]] as const;
  const first = parts.findIndex(([size]) => seconds >= size);
  const [size, unit] = parts[first]!;
  const next = parts[first + 1];
  const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
  return `${Math.floor(seconds / size)} ${unit}${next && rest > 0 ? ` ${rest} ${next[1]}` : ""}`;
}

/** A time as seen from `now`, both in milliseconds: `in 12 s`, `3 min ago`, `now`. */
export function relative(at: number, now: number): string {
  const distance = Math.abs(at - now);
  if (distance < 1000) return "now";
  const coarse = distance < 60_000 ? Math.round(distance / 1000) * 1000 : distance;
  const text = duration(coarse);
  return at > now ? `in ${text}` : `${text} ago`;
}

/** The exact time in UTC, for `title`: `2026-11-30 17:06:27 UTC`. */
export function utc(at: number): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "–";
  return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** The same with milliseconds, for `datetime` of `<time>`. */
export function iso(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

function grouped(value: bigint): string {
  return value.toLocaleString("en-US");
}
