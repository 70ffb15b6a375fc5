// The list of recent failures and fallbacks, with its filters.

import { useState } from "preact/hooks";
import { callJson } from "../admin_api";
import { ProblemNote } from "../elements/problem_note";
import { duration } from "../format.ts";
import { go, linkTo } from "../location";
import { Moment } from "../moment";
import { usePolled } from "../polled";
import { choicesFor, FILTERS, type FilterName, type Filters, filtersOf, matches, queryOf, requestIdIn } from "./record_filters.ts";
import { summaryOf } from "./record_words.ts";
import type { RequestRecord } from "./request_record.ts";
import { TrailText } from "./trail_text";

/** Isolates report every ten seconds, so there is nothing new before. */
const PAUSE_MS = 10_000;
const ROWS = 100;

const RESULTS: [string, string][] = [
  ["failed", "the client saw a failure"],
  ["served", "served in the end"],
];
const CHOICES: { name: FilterName; title: string }[] = [
  { name: "model", title: "Model" },
  { name: "deployment", title: "Deployment" },
  { name: "client", title: "Client" },
  { name: "class", title: "Error class" },
  { name: "status", title: "Status" },
];

export function RecordList({ filters }: { filters: Filters }) {
  const { value, error, refresh } = usePolled("requests", PAUSE_MS, (signal) =>
    callJson<RequestRecord[]>("/admin/api/requests", { signal }),
  );
  const shown = value?.filter((record) => matches(record, filters));
  const isFiltered = FILTERS.some((name) => filters[name] !== "");
  return (
    <>
      <h1>Requests that failed, or fell back</h1>
      <FilterForm filters={filters} records={value ?? []} />
      {error && <ProblemNote error={error} what={value ? "This list is not up to date." : "There is no list."} />}
      {!value && !error && <p class="hint">Loading …</p>}
      {value && shown && (
        <>
          <p class="row hint" role="status">
            {countOf(shown, value, isFiltered)}
            <button type="button" class="quiet" onClick={refresh}>Refresh</button>
          </p>
          {shown.length > 0 ? <RecordTable records={shown} filters={filters} /> : <Nothing isFiltered={isFiltered} filters={filters} />}
        </>
      )}
    </>
  );
}

function countOf(shown: RequestRecord[], all: RequestRecord[], isFiltered: boolean) {
  const requests = (list: RequestRecord[]) => `${list.length} ${list.length === 1 ? "request" : "requests"}`;
  return isFiltered ? `${requests(shown)} of ${all.length}` : `${requests(all)}, the latest first`;
}

function FilterForm({ filters, records }: { filters: Filters; records: RequestRecord[] }) {
  // The address changes without a new entry in the history for each letter.
  const set = (name: FilterName, value: string) =>
    window.location.replace(linkTo("requests", undefined, queryOf({ ...filters, [name]: value })));
  const id = requestIdIn(filters.text);
  const submit = (event: Event) => {
    event.preventDefault();
    if (id) go("requests", id);
  };
  return (
    <form class="requests-filters" role="search" onSubmit={submit}>
      <div class="requests-search">
        <label for="requests-text">Request id, or any text</label>
        <div class="row">
          <input
            id="requests-text"
            type="search"
            value={filters.text}
            placeholder="req_…"
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => set("text", event.currentTarget.value)}
          />
          <button type="submit" disabled={!id}>Open</button>
        </div>
      </div>
      <Choice name="result" title="Result" value={filters.result} onChange={set} options={RESULTS} />
      {CHOICES.map(({ name, title }) => (
        <Choice key={name} name={name} title={title} value={filters[name]} onChange={set}
          options={choicesFor(name, records, filters[name]).map((value) => [value, value])} />
      ))}
    </form>
  );
}

interface ChoiceProps {
  name: FilterName;
  title: string;
  value: string;
  options: [string, string][];
  onChange: (name: FilterName, value: string) => void;
}

function Choice({ name, title, value, options, onChange }: ChoiceProps) {
  return (
    <div>
      <label for={`requests-${name}`}>{title}</label>
      <select id={`requests-${name}`} value={value} onChange={(event) => onChange(name, event.currentTarget.value)}>
        <option value="">any</option>
        {options.map(([option, words]) => <option key={option} value={option}>{words}</option>)}
      </select>
    </div>
  );
}

function RecordTable({ records, filters }: { records: RequestRecord[]; filters: Filters }) {
  const [rows, setRows] = useState(ROWS);
  return (
    <>
      <div class="scroll panel" tabIndex={0} role="region" aria-label="Requests">
        <table class="requests-table">
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">What happened</th>
              <th scope="col">Attempts</th>
              <th scope="col">Model</th>
              <th scope="col">Client</th>
              <th scope="col" class="number">Status</th>
              <th scope="col" class="number">Time</th>
            </tr>
          </thead>
          <tbody>
            {records.slice(0, rows).map((record) => {
              const { tone, text } = summaryOf(record);
              return (
                <tr key={record.request_id}>
                  <td class="requests-when"><Moment at={Date.parse(record.time)} /></td>
                  <th scope="row">
                    <a class={tone === "bad" ? "bad" : ""} href={linkTo("requests", record.request_id, queryOf(filters))} title={record.request_id}>
                      {text}
                    </a>
                  </th>
                  <td><TrailText record={record} /></td>
                  <td>{record.model ?? "–"}</td>
                  <td>{record.client ?? "–"}</td>
                  <td class="number">{record.status}</td>
                  <td class="number">{duration(record.ms.total)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {records.length > rows && (
        <p><button type="button" class="quiet" onClick={() => setRows(rows + ROWS)}>Show {Math.min(ROWS, records.length - rows)} more</button></p>
      )}
    </>
  );
}

function Nothing({ isFiltered, filters }: { isFiltered: boolean; filters: Filters }) {
  const id = requestIdIn(filters.text);
  if (!isFiltered) {
    return (
      <div class="panel">
        <h2>No request failed lately</h2>
        <p>
          Here are the last 400 requests that failed, or in which an attempt failed, within seconds. The list is kept in
          memory: it is empty after a restart of the hub. Requests that the first deployment served are only in the log.
        </p>
        <p class="hint">
          To see one, set a fault for a minute: <code>switchyard fault DEPLOYMENT 500</code>.
        </p>
      </div>
    );
  }
  return (
    <div class="panel">
      <p>None of the recent requests is like that.</p>
      <p class="row">
        {id && <a class="button" href={linkTo("requests", id)}>Look for {id.slice(0, 12)}…</a>}
        <a href={linkTo("requests", undefined, queryOf(filtersOf(new URLSearchParams())))}>Show all</a>
      </p>
    </div>
  );
}
