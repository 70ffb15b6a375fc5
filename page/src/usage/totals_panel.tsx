// Tokens and money by client, model or deployment, from the gateway's own counters.

import { useRef } from "preact/hooks";
import { call } from "../admin_api";
import { ProblemNote } from "../elements/problem_note";
import { compact, count, dollars, duration, percent } from "../format.ts";
import { Moment } from "../moment";
import { type Reading, readMetrics } from "../now/metrics_text.ts";
import { usePolled } from "../polled";
import { groupingOf, GroupingLinks, GROUPINGS, nameInWords } from "./usage_grouping";
import { type Grouping, growth, ranked, sumOf, type Totals, type TotalsByName, totalsOf } from "./usage_totals.ts";

/** The hub gets new counters every ten seconds. */
const PAUSE_MS = 15_000;
/** Counters are up to 20 seconds old, so a rate over less says nothing. */
const SHORTEST_MS = 30_000;

interface TimedReading {
  at: number;
  metrics: Reading;
}

/** The first reading of this tab. It stays while other views are shown: rates get better. */
let first: TimedReading | undefined;

export function TotalsPanel({ query }: { query: URLSearchParams }) {
  const by = groupingOf(query);
  const { value, error } = usePolled("metrics of usage", PAUSE_MS, async (signal): Promise<TimedReading> => {
    const metrics = readMetrics(await (await call("/admin/metrics", { signal })).text());
    const reading = { at: Date.now(), metrics };
    if (!first || !growth(totalsOf(first.metrics, "client"), totalsOf(metrics, "client"))) first = reading;
    return reading;
  });
  return (
    <section class="panel" aria-labelledby="usage-totals">
      <h2 id="usage-totals">Tokens and cost</h2>
      {error && <ProblemNote error={error} what={value ? "These totals are not up to date." : "The counters cannot be read."} />}
      <GroupingLinks query={query} />
      {!value && !error && <p class="hint">Loading …</p>}
      {value && first && <Counted by={by} reading={value} since={first} />}
    </section>
  );
}

function Counted({ by, reading, since }: { by: Grouping; reading: TimedReading; since: TimedReading }) {
  const cache = useRef<{ reading: TimedReading; by: Grouping; totals: TotalsByName; grown: TotalsByName | undefined }>(undefined);
  if (cache.current?.reading !== reading || cache.current.by !== by) {
    const totals = totalsOf(reading.metrics, by);
    cache.current = { reading, by, totals, grown: growth(totalsOf(since.metrics, by), totals) };
  }
  const { totals, grown } = cache.current;
  const elapsed = reading.at - since.at;
  const isRateKnown = elapsed >= SHORTEST_MS && grown !== undefined;
  return (
    <>
      {totals.size === 0 ? (
        <p>Nothing is counted yet. Counters arrive here within 20 seconds of a request.</p>
      ) : (
        <TotalsTable by={by} totals={totals} grown={isRateKnown ? grown : undefined} elapsedMs={elapsed} />
      )}
      <p class="hint">
        Totals of all regions since the hub began to count, read <Moment at={reading.at} />; money by the prices of the routes document.{" "}
        {isRateKnown
          ? `Rates are those of the ${duration(elapsed)} since this tab began to read.`
          : "Rates need half a minute of readings in this tab."}
        {by === "deployment" && " Requests are those that the deployment served."}
      </p>
    </>
  );
}

const MORE: { cell: keyof Totals; title: string }[] = [
  { cell: "images", title: "Images" },
  { cell: "audioSeconds", title: "Audio" },
  { cell: "characters", title: "Characters" },
];

interface TotalsTableProps {
  by: Grouping;
  totals: TotalsByName;
  /** What was added in `elapsedMs`, if that is long enough to say. */
  grown: TotalsByName | undefined;
  elapsedMs: number;
}

function TotalsTable({ by, totals, grown, elapsedMs }: TotalsTableProps) {
  const sum = sumOf(totals.values());
  const more = MORE.filter(({ cell }) => sum[cell] > 0);
  const title = GROUPINGS.find((grouping) => grouping.by === by)?.title ?? "";
  const cells = (row: Totals, added: Totals | undefined) => (
    <>
      <td class="number">{count(row.requests)}</td>
      {sum.refused > 0 && <td class={row.refused > 0 ? "number warn" : "number"}>{count(row.refused)}</td>}
      <td class="number" title={row.cached > 0 ? `${count(row.cached)} of them cached` : undefined}>{count(row.input)}</td>
      <td class="number">{row.input > 0 ? percent(row.cached / row.input) : "–"}</td>
      <td class="number" title={row.reasoning > 0 ? `${count(row.reasoning)} of them reasoning` : undefined}>{count(row.output)}</td>
      {more.map(({ cell }) => <td key={cell} class="number">{cell === "audioSeconds" ? duration(row[cell] * 1000) : count(row[cell])}</td>)}
      <td class="number" title={dollars(row.microUsd, { exact: true })}>{dollars(row.microUsd)}</td>
      <td class="usage-share"><CostShare share={sum.microUsd > 0 ? row.microUsd / sum.microUsd : undefined} /></td>
      <td class="number">{added ? compact(((added.input + added.output) * 60_000) / elapsedMs) : "–"}</td>
      <td class="number">{added ? dollars((added.microUsd * 3_600_000) / elapsedMs) : "–"}</td>
    </>
  );
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`Totals by ${by}`}>
      <table class="usage-table">
        <caption class="usage-caption">By {by}</caption>
        <thead>
          <tr>
            <th scope="col">{title}</th>
            <th scope="col" class="number">Requests</th>
            {sum.refused > 0 && <th scope="col" class="number">Refused by limits</th>}
            <th scope="col" class="number">Input tokens</th>
            <th scope="col" class="number">Cached</th>
            <th scope="col" class="number">Output tokens</th>
            {more.map(({ cell, title }) => <th key={cell} scope="col" class="number">{title}</th>)}
            <th scope="col" class="number">Cost</th>
            <th scope="col" class="usage-share">Share of cost</th>
            <th scope="col" class="number">Tokens/min</th>
            <th scope="col" class="number">Cost/hour</th>
          </tr>
        </thead>
        <tbody>
          {ranked(totals).map(([name, row]) => (
            <tr key={name}>
              <th scope="row">{name || <span class="hint">{nameInWords(by, name)}</span>}</th>
              {cells(row, grown?.get(name))}
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">All</th>
            {cells(sum, grown && sumOf(grown.values()))}
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

function CostShare({ share }: { share: number | undefined }) {
  return (
    <>
      <span class="usage-share-bar" aria-hidden="true"><span style={{ width: `${(share ?? 0) * 100}%` }} /></span>
      {share === undefined ? "–" : percent(share)}
    </>
  );
}
