// A time as people say it, with the exact one in UTC on top of it.

import { useEffect, useState } from "preact/hooks";
import { iso, relative, utc } from "../format.ts";

export function Moment({ at }: { at: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 5_000);
    return () => clearInterval(timer);
  }, []);
  return <time dateTime={iso(at)} title={utc(at)}>{relative(at, now)}</time>;
}
