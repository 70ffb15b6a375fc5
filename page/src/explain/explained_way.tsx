// An explanation in words: where the request enters, in which order targets are tried and why, what is
// left out, and what each attempt sends.

import { duration, utc } from "../format.ts";
import { linkTo } from "../location";
import type { Explanation, PlannedAttempt, PlannedTarget } from "./explanation.ts";
import {
  attemptWords, bodyWords, cacheWords, endWords, entryWords, factWords, limitWords, reasonWords,
} from "./explanation_words.ts";

export function ExplainedWay({ explanation, condition }: { explanation: Explanation; condition: string }) {
  const { client, key, operation, entry, facts, cache, course, answer, error, rule } = explanation;
  return (
    <>
      {error && (
        <p class="problem" role="alert">
          The client gets <strong>{error.status} {error.code}</strong>: {error.message}
          {rule !== null && entry === null && <> <code>rules[{rule}]</code> refuses the request{condition && `: ${condition}`}.</>}
        </p>
      )}
      {answer && <p role="status">The gateway itself answers: <code>{answer}</code>.</p>}
      <dl class="explain-facts">
        <dt>Client</dt>
        <dd>{client ?? "not known"}{key && <>, with the key <code>{key}</code></>}</dd>
        {operation && <><dt>Operation</dt><dd><code>{operation}</code></dd></>}
        {entry && <><dt>Entry</dt><dd><strong>{entry}</strong>: {entryWords(explanation, condition)}</dd></>}
        {facts && <><dt>Request</dt><dd>{factWords(facts).join(", ")}</dd></>}
        {cache && <><dt>Cache</dt><dd>{cacheWords(cache)}</dd></>}
        {course && (
          <>
            <dt>Limits</dt>
            <dd>
              at most {course.max_attempts} {course.max_attempts === 1 ? "attempt" : "attempts"}, {duration(course.deadline_ms)} for all of them
            </dd>
          </>
        )}
      </dl>
      {course && (
        <>
          <h3>What is tried, if each attempt fails</h3>
          <ol class="explain-attempts">
            {course.attempts.map((attempt) => (
              <Attempt key={attempt.number} attempt={attempt} call={explanation.calls.find(({ deployment }) => deployment === attempt.deployment)} />
            ))}
          </ol>
          {course.attempts.length === 0 && <p>Nothing.</p>}
          <p>If all of this fails, {endWords(course.end)}.</p>
          <h3>Why in this order</h3>
          <ul class="explain-tree">
            {course.tree.map((target, index) => <Target key={index} target={target} isInner={false} />)}
          </ul>
        </>
      )}
    </>
  );
}

function Attempt({ attempt, call }: { attempt: PlannedAttempt; call: Explanation["calls"][number] | undefined }) {
  return (
    <li value={attempt.number}>
      <a href={linkTo("now", attempt.deployment)}>{attempt.deployment}</a>: {attemptWords(attempt)}
      {attempt.by !== "retry" && (
        <details>
          <summary>What is sent, and how long it may take</summary>
          <dl class="explain-facts">
            <dt>Path</dt><dd>{attempt.path.join(" › ")}</dd>
            {call && (
              <>
                <dt>Call</dt><dd class="mono">{call.method} {call.url}</dd>
                <dt>Headers</dt>
                <dd>
                  {call.headers_set.length > 0 && `sets ${call.headers_set.join(", ")}`}
                  {call.headers_passed.length > 0 && `; passes ${call.headers_passed.join(", ")}`}
                </dd>
                <dt>Body</dt><dd>{bodyWords(call)}</dd>
              </>
            )}
            <dt>Times</dt><dd>{limitWords(attempt).join(", ") || "no limit"}</dd>
            <dt>Commit</dt>
            <dd>{attempt.commit}{attempt.hedge_after_ms !== null && `; hedged after ${duration(attempt.hedge_after_ms)}`}</dd>
          </dl>
        </details>
      )}
    </li>
  );
}

function Target({ target, isInner }: { target: PlannedTarget; isInner: boolean }) {
  const { to, place, edge, because = [], excluded, attempts = [], node } = target;
  const isTried = attempts.length > 0;
  const isUnreached = !isTried && !excluded && !node;
  return (
    <li>
      {isInner && <span class="explain-place">{place === undefined ? "–" : `${place}.`} </span>}
      <strong class={excluded && !isTried ? "explain-out" : ""}>{to}</strong>
      {node && <span class="hint"> ({node.strategy}{node.is_sticky && ", sticky"})</span>}
      {edge && <span class="explain-tag">edge for {edge}</span>}
      {isTried && <span class="explain-tag explain-tried">{attempts.length === 1 ? "attempt" : "attempts"} {attempts.join(", ")}</span>}
      {excluded && (
        <span class="bad">
          {" "}{isTried ? "passed over at first" : "not tried"}: {excluded.until !== undefined && <>until <time title={utc(excluded.until)}>{utc(excluded.until)}</time>: </>}
          {excluded.why}
        </span>
      )}
      {(isUnreached || because.length > 0) && (
        <span class="hint"> {[...(isUnreached ? ["not reached"] : []), ...because.map(reasonWords)].join("; ")}</span>
      )}
      {node && node.targets.length > 0 && (
        <ul>
          {node.targets.map((inner, index) => <Target key={index} target={inner} isInner />)}
        </ul>
      )}
    </li>
  );
}
