// Values that are read again and again while somebody looks.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "./admin_api";

export interface Polled<T> {
  /** The latest value. It stays when a later call fails. */
  value: T | undefined;
  /** Why the latest call failed. */
  error: ApiError | undefined;
  /** When `value` was read, in milliseconds of this browser's clock. */
  readAt: number | undefined;
  /** Reads it at once, for example after a change. */
  refresh: () => void;
}

/**
 * Calls `read` now, and then again `pauseMs` after each end. Stops while the tab is hidden. `key`
 * names what is read: with another key, the old value is dropped.
 */
export function usePolled<T>(key: string, pauseMs: number, read: (signal: AbortSignal) => Promise<T>): Polled<T> {
  const [state, setState] = useState<Omit<Polled<T>, "refresh"> & { key: string }>(() => empty(key));
  const latest = useRef(read);
  latest.current = read;
  const again = useRef(() => {});
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let underWay: AbortController | undefined;
    const run = async () => {
      clearTimeout(timer);
      underWay?.abort();
      const own = new AbortController();
      underWay = own;
      try {
        const value = await latest.current(own.signal);
        if (own.signal.aborted) return;
        setState({ key, value, error: undefined, readAt: Date.now() });
      } catch (error) {
        if (own.signal.aborted) return;
        setState((old) => ({ ...(old.key === key ? old : empty<T>(key)), error: error as ApiError }));
      }
      if (!document.hidden) timer = setTimeout(run, pauseMs);
    };
    const onVisible = () => {
      if (document.hidden) clearTimeout(timer);
      else void run();
    };
    again.current = () => void run();
    document.addEventListener("visibilitychange", onVisible);
    void run();
    return () => {
      document.removeEventListener("visibilitychange", onVisible);
      clearTimeout(timer);
      underWay?.abort();
    };
  }, [key, pauseMs]);
  const { value, error, readAt } = state.key === key ? state : empty<T>(key);
  return { value, error, readAt, refresh: () => again.current() };
}

function empty<T>(key: string) {
  return { key, value: undefined as T | undefined, error: undefined, readAt: undefined };
}
