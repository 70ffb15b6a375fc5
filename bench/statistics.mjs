// Statistics over rounds.

export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * part;
  const [low, high] = [Math.floor(at), Math.ceil(at)];
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

export const median = (values) => quantile(values, 0.5);

/** Median, minimum and maximum of the defined values; undefined if there are none. */
export function spread(values) {
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return undefined;
  return { median: median(known), min: Math.min(...known), max: Math.max(...known) };
}

/**
 * The confidence interval of the median. It is valid for any distribution: each value is as likely
 * above the median as below it, so the binomial distribution gives how many of the smallest and of
 * the largest values can be left out. For eight values or fewer that is none.
 */
export function medianInterval(values, confidence = 0.95) {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  // The probability that at most this many values are below the median.
  let exactly = 0.5 ** n;
  let atMost = exactly;
  let leftOut = -1;
  while (atMost <= (1 - confidence) / 2) {
    leftOut += 1;
    exactly *= (n - leftOut) / (leftOut + 1);
    atMost += exactly;
  }
  leftOut = Math.max(leftOut, 0);
  return [sorted[leftOut], sorted[n - 1 - leftOut]];
}

/** The order of turns in a round. Every second round reverses the one before it. */
export function turnsOf(candidates, round) {
  const first = Math.floor(round / 2) % candidates.length;
  const rotated = [...candidates.slice(first), ...candidates.slice(0, first)];
  return round % 2 === 0 ? rotated : rotated.reverse();
}
