// One request with all that is recorded of it; or where to look if nothing is.

import { useRef } from "preact/hooks";
import { callJson } from "../admin_api";
import { CopyButton } from "../elements/copy_button";
import { ProblemNote } from "../elements/problem_note";
import { linkTo } from "../location";
import { Moment } from "../moment";
import { usePolled } from "../polled";
import { AttemptList } from "./attempt_list";
import { explainQueryOf } from "./explain_query.ts";
import { lookupQuery } from "./lookup.ts";
import { type Filters, queryOf } from "./record_filters.ts";
import { RecordFacts } from "./record_facts";
import { clientGot, summaryOf } from "./record_words.ts";
import type { RequestRecord } from "./request_record.ts";

/** How often an unknown request is looked for again: its isolate may not have reported yet. */
const PAUSE_MS = 5_000;

export function RecordDetail({ id, filters }: { id: string; filters: Filters }) {
  const found = useRef<RequestRecord>(undefined);
  // A record never changes, so it is read once.
  const { value: record, error } = usePolled(`request ${id}`, PAUSE_MS, async (signal) => {
    found.current ??= await callJson<RequestRecord>(`/admin/api/requests/${encodeURIComponent(id)}`, { signal });
    return found.current;
  });
  return (
    <>
      <p><a href={linkTo("requests", undefined, queryOf(filters))}>← All requests</a></p>
      <div class="row requests-title">
        <h1>Request <code>{id}</code></h1>
        <CopyButton text={id} name="the request id" />
      </div>
      {!record && !error && <p class="hint">Loading …</p>}
      {!record && error && (error.status === 404 ? <UnknownRequest id={id} /> : <ProblemNote error={error} what="The record cannot be read." />)}
      {record && <KnownRequest record={record} />}
    </>
  );
}

function KnownRequest({ record }: { record: RequestRecord }) {
  const { tone, text } = summaryOf(record);
  return (
    <div class="requests-detail">
      <section class="panel">
        <p class={`requests-summary ${tone}`}>{text}</p>
        <p>The client got {clientGot(record)}</p>
        <p class="hint">It arrived <Moment at={Date.parse(record.time)} />.</p>
        <ExplainLink record={record} />
      </section>
      <section class="panel" aria-labelledby="requests-attempts">
        <h2 id="requests-attempts">Attempts</h2>
        <AttemptList record={record} />
      </section>
      <section class="panel" aria-labelledby="requests-facts">
        <h2 id="requests-facts">What is recorded</h2>
        <RecordFacts record={record} />
        <details>
          <summary>As JSON</summary>
          <pre class="scroll requests-json" tabIndex={0}>{JSON.stringify(record, undefined, 2)}</pre>
        </details>
      </section>
    </div>
  );
}

function ExplainLink({ record }: { record: RequestRecord }) {
  const current = usePolled("routes version", 60_000, (signal) => callJson<{ version: string }>("/admin/api/routes", { signal }));
  const query = explainQueryOf(record);
  const isOther = current.value && current.value.version !== record.routes;
  return (
    <>
      {query && (
        <p class="row">
          <a class="button" href={linkTo("explain", undefined, query)}>Explain this request now</a>
          <span class="hint">Where it would go at this moment, and why. It shows the targets that are passed over, too: a record has the attempts alone.</span>
        </p>
      )}
      {isOther && (
        <p class="warning">
          Another routes document serves now: <code>{current.value?.version}</code>, and then <code>{record.routes}</code>. See{" "}
          <a href={linkTo("routes", "history")}>the versions</a> for what changed.
        </p>
      )}
    </>
  );
}

function UnknownRequest({ id }: { id: string }) {
  const query = lookupQuery(id);
  return (
    <div class="panel requests-unknown">
      <h2>The gateway has no record of this request</h2>
      <p>It keeps the last 400 requests that failed, or in which an attempt failed. So one of these is true:</p>
      <ul>
        <li>
          <strong>The first deployment served it.</strong> Such requests are not kept here. They are in the log, as far as{" "}
          <code>settings.log.sample</code> says.
        </li>
        <li>
          It is older than the last 400, or than the last restart of the hub, or very many failed in the same seconds: of each report,
          the latest are kept.
        </li>
        <li>It ended a few seconds ago. This page looks again every five seconds.</li>
        <li>The id is another one: it is the header <code>x-switchyard-request-id</code> of the answer.</li>
      </ul>
      <h3>In the log</h3>
      <p>
        In Cloudflare's dashboard: Workers &amp; Pages, the Worker, Observability, with the filter <code>request_id</code> = <code>{id}</code>. A request
        that failed is always in the log.
      </p>
      {query && (
        <>
          <h3>In Analytics Engine</h3>
          <p>It has every request, with its trail, unless much traffic of the client makes it sample:</p>
          <pre class="scroll" tabIndex={0}>{query}</pre>
          <p class="row"><CopyButton text={query} name="the query" /></p>
        </>
      )}
    </div>
  );
}
