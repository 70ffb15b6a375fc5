// The attempts of a request in one line: `openai 503 → azure-eastus ok`.

import { Fragment } from "preact";
import type { RequestRecord } from "./request_record.ts";

export function TrailText({ record }: { record: RequestRecord }) {
  if (record.attempts.length === 0) return <span class="hint">none</span>;
  return (
    <span class="requests-trail">
      {record.attempts.map(({ deployment, outcome }, index) => (
        <Fragment key={index}>
          {index > 0 && <span aria-hidden="true"> → </span>}
          <span class="requests-step">
            {deployment} <span class={toneOf(outcome)}>{outcome}</span>
          </span>
          {index < record.attempts.length - 1 && <span class="requests-hidden">, then </span>}
        </Fragment>
      ))}
    </span>
  );
}

export function toneOf(outcome: string): string {
  if (outcome === "ok") return "good";
  return outcome === "abandoned" ? "hint" : "bad";
}
