// Has the gateway compile a text while somebody types, and says what came of the latest one.

import { useEffect, useState } from "preact/hooks";
import type { ApiError } from "../admin_api";
import { check, type Check } from "./routes_api";

/** How long nobody types before the text is sent. */
const PAUSE_MS = 350;

export interface Checked {
  /** The text that was checked. */
  text: string;
  result: Check | undefined;
  error: ApiError | undefined;
}

/** The latest check; its `text` is an older one while the gateway has not answered yet. */
export function useCheck(text: string | undefined): Checked | undefined {
  const [checked, setChecked] = useState<Checked>();
  useEffect(() => {
    if (text === undefined) return;
    const own = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const result = await check(text, own.signal);
        if (!own.signal.aborted) setChecked({ text, result, error: undefined });
      } catch (error) {
        if (!own.signal.aborted) setChecked({ text, result: undefined, error: error as ApiError });
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      own.abort();
    };
  }, [text]);
  return checked;
}
