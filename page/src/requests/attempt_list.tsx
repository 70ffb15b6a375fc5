// The attempts of a request: what each deployment did, when, and why another one was asked.

import { duration } from "../format.ts";
import { linkTo } from "../location";
import { deedOf, reasonForNext } from "./record_words.ts";
import type { RecordedAttempt, RequestRecord } from "./request_record.ts";
import { toneOf } from "./trail_text";
import { type Bar, waterfall } from "./waterfall.ts";

export function AttemptList({ record }: { record: RequestRecord }) {
  if (record.attempts.length === 0) return <p class="hint">None: the gateway answered before it asked a deployment.</p>;
  const { total, bars, isExact } = waterfall(record);
  return (
    <>
      <ol class="requests-attempts">
        {record.attempts.map((attempt, index) => (
          <li key={index}>
            <AttemptWords attempt={attempt} record={record} />
            <AttemptBar bar={bars[index]!} total={total} outcome={attempt.outcome} />
            <p class="hint">{reasonForNext(record, index)}</p>
          </li>
        ))}
      </ol>
      <p class="hint requests-scale">
        The bars are the {duration(total)} from the arrival of the request to the end of its answer: the strong part up to the
        failure or the first bytes for the client, the faint one while the answer went on.
        {!isExact && " The record does not say when each attempt began, so they are drawn one after the other."}
        {record.ms.backoff > 0 && ` Waits between attempts: ${duration(record.ms.backoff)} in all.`}
      </p>
    </>
  );
}

function AttemptWords({ attempt, record }: { attempt: RecordedAttempt; record: RequestRecord }) {
  const { deployment, outcome, status, reason, usage } = attempt;
  const details = [status === undefined ? "" : `status ${status}`, reason === outcome ? "" : reason].filter(Boolean).join(", ");
  return (
    <p class="requests-words">
      <a href={linkTo("now", deployment)}><strong>{deployment}</strong></a> {deedOf(attempt, record)}
      {": "}
      <span class={toneOf(outcome)}>{outcome}</span>
      {details && ` (${details})`}
      {usage && `. The provider charges ${usage.input_tokens} input and ${usage.output_tokens} output tokens for it`}
    </p>
  );
}

function AttemptBar({ bar: { start, ms, flow }, total, outcome }: { bar: Bar; total: number; outcome: string }) {
  const part = (value: number) => `${(value / total) * 100}%`;
  return (
    <div class="requests-bar-line">
      <div class="requests-bar" aria-hidden="true">
        <span class={`requests-bar-wait requests-bar-${toneOf(outcome)}`} style={{ left: part(start), width: part(ms) }} />
        {flow > 0 && <span class={`requests-bar-flow requests-bar-${toneOf(outcome)}`} style={{ left: part(start + ms), width: part(flow) }} />}
      </div>
      <span class="requests-times">
        at {duration(start)}, for {duration(ms)}
        {flow >= 1 && `, and ${duration(flow)} of answer`}
      </span>
    </div>
  );
}
