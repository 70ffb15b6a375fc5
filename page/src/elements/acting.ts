// An act of an administrator that is under way, and why it failed.

import { useState } from "preact/hooks";
import type { ApiError } from "../admin_api";

export interface Acting {
  isUnderWay: boolean;
  error: ApiError | undefined;
  /** Runs the act, unless one is under way. */
  run: (act: () => Promise<void>) => void;
}

export function useActing(): Acting {
  const [isUnderWay, setUnderWay] = useState(false);
  const [error, setError] = useState<ApiError>();
  const run = async (act: () => Promise<void>) => {
    if (isUnderWay) return;
    setUnderWay(true);
    setError(undefined);
    try {
      await act();
    } catch (error) {
      setError(error as ApiError);
    }
    setUnderWay(false);
  };
  return { isUnderWay, error, run: (act) => void run(act) };
}
