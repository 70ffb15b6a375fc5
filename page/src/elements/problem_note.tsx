// What could not be done, why, and what helps.

import type { ApiError } from "../admin_api";
import { problemText } from "../api_problem";

export function ProblemNote({ error, what }: { error: ApiError; what?: string }) {
  return (
    <p class="problem" role="alert">
      {what && <><strong>{what}</strong> </>}
      {problemText(error)}
    </p>
  );
}
