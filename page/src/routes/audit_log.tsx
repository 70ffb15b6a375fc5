// What administrators did, latest first.

import { useState } from "preact/hooks";
import type { ApiError } from "../admin_api";
import { linkTo } from "../location";
import { usePolled } from "../polled";
import { Moment } from "../moment";
import { readAudit, type AuditEntry } from "./routes_api";

export function AuditLog() {
  const { value, error } = usePolled("audit", 10_000, (signal) => readAudit(undefined, signal));
  const [older, setOlder] = useState<AuditEntry[]>([]);
  const [problem, setProblem] = useState("");
  const [filter, setFilter] = useState("");
  if (!value) return error ? <p class="problem" role="alert">{error.message}</p> : <p class="hint">Loading …</p>;
  // The answer to a later call begins later; what is between has been seen before.
  const known = new Map([...older, ...value].map((entry) => [entry.number, entry]));
  const entries = [...known.values()].sort((one, other) => other.number - one.number);
  if (entries.length === 0) return <p class="hint">Nothing was done yet. Changes, switches, faults and keys are logged here.</p>;
  const first = entries.at(-1)?.number ?? 1;
  const words = filter.trim().toLowerCase();
  const shown = entries.filter((entry) =>
    [entry.what, entry.who, entry.subject, entry.why, entry.result].some((text) => text?.toLowerCase().includes(words)),
  );
  const readOlder = () => {
    readAudit(first).then(
      (found) => setOlder([...found, ...entries]),
      (failure: ApiError) => setProblem(failure.message),
    );
  };
  return (
    <>
      {(error || problem) && <p class="problem" role="alert">{error?.message ?? problem}</p>}
      <p class="row">
        <label for="audit-filter">Only entries with</label>
        <input id="audit-filter" type="search" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
        <span class="hint" role="status">{shown.length} of {entries.length}</span>
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label="The log of acts">
        <table>
          <caption class="routes-caption">The log of acts, latest first</caption>
          <thead>
            <tr>
              <th scope="col" class="number">Number</th>
              <th scope="col">When</th>
              <th scope="col">Who</th>
              <th scope="col">What</th>
              <th scope="col">Of what</th>
              <th scope="col">Why</th>
              <th scope="col">Result</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((entry) => (
              <tr key={entry.number}>
                <td class="number">{entry.number}</td>
                <td><Moment at={entry.at} /></td>
                <td>{entry.who}</td>
                <th scope="row" class="mono">{entry.what}</th>
                <td class="mono">{subjectOf(entry)}</td>
                <td class="routes-why">{entry.why ?? "–"}</td>
                <td class={entry.result === "ok" ? "" : "bad"}>{entry.result}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {first > 1 && <p><button type="button" class="quiet" onClick={readOlder}>Older entries</button></p>}
    </>
  );
}

function subjectOf({ what, subject, result }: AuditEntry) {
  if (!subject) return "–";
  const isVersion = what.startsWith("routes.") && !what.startsWith("routes.canary.") && result === "ok";
  return isVersion ? <a href={linkTo("routes", `history/${subject}`)}>{subject}</a> : subject;
}
