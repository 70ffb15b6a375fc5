// Percentiles of histograms.

/** The counts of a histogram by the upper limits of its buckets, cumulative. */
export type Buckets = Map<number, number>;

/** Adds the count of a bucket, whose label is `le`. */
export function addBucket(buckets: Buckets, le: string | undefined, count: number) {
  const limit = le === "+Inf" ? Infinity : Number(le);
  if (!Number.isNaN(limit)) buckets.set(limit, (buckets.get(limit) ?? 0) + count);
}

/**
 * The value below which `share` of what was counted lies. Within a bucket, all values are taken to
 * be equally likely. Undefined if nothing was counted.
 */
export function percentile(buckets: Buckets, share: number): number | undefined {
  const limits = [...buckets].sort(([one], [other]) => one - other);
  const total = limits.at(-1)?.[1] ?? 0;
  if (total <= 0) return undefined;
  const rank = share * total;
  let [low, below] = [0, 0];
  for (const [limit, cumulative] of limits) {
    if (cumulative >= rank && cumulative > below) {
      if (limit === Infinity) return low;
      return low + (limit - low) * Math.max(0, (rank - below) / (cumulative - below));
    }
    low = limit === Infinity ? low : limit;
    below = Math.max(below, cumulative);
  }
  return low;
}
