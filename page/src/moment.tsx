// A time as seen from now, which goes on by itself: `3 min ago`, with the exact time on hover.

import { useEffect, useState } from "preact/hooks";
import { duration, iso, relative, utc } from "./format.ts";

// One timer for all of them.
const tickers = new Set<(now: number) => void>();
let timer: ReturnType<typeof setInterval> | undefined;

/** The time of this browser, once a second. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    tickers.add(setNow);
    timer ??= setInterval(() => {
      if (!document.hidden) for (const tick of tickers) tick(Date.now());
    }, 1000);
    return () => {
      tickers.delete(setNow);
      if (tickers.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    };
  }, []);
  return now;
}

/** `ahead` is how far the clock that says `at` is ahead of this browser's, in milliseconds. */
export function Moment({ at, ahead = 0 }: { at: number; ahead?: number }) {
  const now = useNow();
  return (
    // A screen reader that has read it does not read each second.
    <time aria-live="off" dateTime={iso(at)} title={utc(at)}>
      {relative(at, now + ahead)}
    </time>
  );
}

/** How long something has lasted, with the exact time of its beginning on hover. */
export function Elapsed({ since }: { since: number }) {
  const now = useNow();
  return (
    <time dateTime={iso(since)} title={`since ${utc(since)}`}>
      {duration(Math.max(1000, Math.round((now - since) / 1000) * 1000))}
    </time>
  );
}
