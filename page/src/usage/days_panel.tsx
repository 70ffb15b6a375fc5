// What was used on each of the last days, by client, model or deployment: bars, and a table with the
// same.

import { callJson } from "../admin_api";
import { CopyButton } from "../elements/copy_button";
import { ProblemNote } from "../elements/problem_note";
import { Moment } from "../moment";
import { usePolled } from "../polled";
import byDay from "../../../examples/analytics/usage-by-client.sql";
import {
  amountInWords, amountOf, belowOf, type CellAmounts, chartInWords, type Columns, columnsOf, dayInWords, type Measure, measureOf, type Period, periodOf, PERIODS, sumOfDays,
  type UsageDays,
} from "./usage_days.ts";
import { groupingOf, nameInWords, usageLink } from "./usage_grouping";
import type { Grouping } from "./usage_totals.ts";

/** The hub adds up all these days for each reading. */
const PAUSE_MS = 60_000;
/** The most names with a colour of their own, and with a column of the table. */
const MOST_COLOURS = 5;
const MOST_COLUMNS = 20;
/** With more bars than this, only each seventh has a label. */
const MOST_LABELS = 14;

export function DaysPanel({ query }: { query: URLSearchParams }) {
  const [by, period] = [groupingOf(query), periodOf(query.get("days"))];
  const path = `/admin/api/usage/days?days=${period}&by=${by}`;
  const { value, error, readAt } = usePolled(path, PAUSE_MS, (signal) => callJson<UsageDays>(path, { signal }));
  return (
    <section class="panel" aria-labelledby="usage-days">
      <h2 id="usage-days">By day and {by}</h2>
      {error && <ProblemNote error={error} what={value ? "These days are not up to date." : "What was used on each day cannot be read."} />}
      <nav class="usage-groupings row" aria-label="How many days">
        <span class="hint">Last</span>
        {PERIODS.map((other) => (
          <a key={other} href={usageLink(by, other)} aria-current={other === period ? "true" : undefined}>{other} days</a>
        ))}
      </nav>
      {!value && !error && <p class="hint">Loading …</p>}
      {value && <Days by={by} period={period} days={value.days} readAt={readAt ?? Date.now()} />}
      <LongerTimes />
    </section>
  );
}

interface DaysProps {
  by: Grouping;
  period: Period;
  days: UsageDays["days"];
  readAt: number;
}

function Days({ by, period, days, readAt }: DaysProps) {
  const measure = measureOf(days);
  const first = days.at(-1);
  return (
    <>
      {measure === undefined ? (
        <p>Nothing was used on {first && days.length === 1 ? dayInWords(first.day) : "these days"}. A request is shown here within two minutes.</p>
      ) : (
        <>
          <Bars by={by} measure={measure} columns={columnsOf(days, measure, MOST_COLOURS)} />
          <DaysTable by={by} measure={measure} columns={columnsOf(days, measure, MOST_COLUMNS)} />
        </>
      )}
      <p class="hint">
        Days of UTC, all regions, read <Moment at={readAt} />
        {measure === "cost" && "; money by the prices of the routes document"}.
        {first && days.length < period && ` The hub has kept days since ${dayInWords(first.day)}: what was used before is not known by day.`}
        {by === "deployment" && " Requests are those that the deployment served."}
      </p>
    </>
  );
}

interface ColumnsProps {
  by: Grouping;
  measure: Measure;
  columns: Columns;
}

const othersInWords = (others: number) => `${others} others`;

function Bars({ by, measure, columns: { names, others, days } }: ColumnsProps) {
  const highest = Math.max(...days.map(({ all }) => all.amount));
  const labels = [...names.map((name) => nameInWords(by, name)), ...(others > 0 ? [othersInWords(others)] : [])];
  // The last column of the others is grey.
  const colour = (index: number) => `usage-colour-${index < MOST_COLOURS ? index + 1 : "others"}`;
  const step = days.length > MOST_LABELS ? 7 : 1;
  return (
    <>
      <ul class="usage-legend row" aria-hidden="true">
        {labels.map((label, index) => days.some(({ cells }) => cells[index]!.amount > 0) && <li key={index}><span class={`usage-swatch ${colour(index)}`} /> {label}</li>)}
      </ul>
      <div class="usage-days" role="img" aria-label={chartInWords(by, measure, days)} style={{ maxWidth: `${Math.max(12, days.length * 5)}rem` }}>
        <span class="usage-top hint">{amountInWords(measure, highest)}</span>
        <div class="usage-bars">
          {days.map(({ day, isOver, cells, all }, age) => (
            <div key={day} class={isOver ? "usage-day" : "usage-day usage-day-running"} title={`${dayInWords(day)}${isOver ? "" : ", so far"}: ${amountInWords(measure, all.amount)}`}>
              <div class="usage-bar">
                {cells.map(({ amount }, index) => amount > 0 && (
                  <span
                    key={index}
                    class={colour(index)}
                    style={{ height: `${(amount / highest) * 100}%` }}
                    title={`${dayInWords(day)}, ${labels[index]}: ${amountInWords(measure, amount)}`}
                  />
                ))}
              </div>
              <span class="usage-day-label">{age % step === 0 ? Number(day.slice(8)) : ""}</span>
            </div>
          )).reverse()}
        </div>
      </div>
    </>
  );
}

const TITLES: Record<Measure, string> = { cost: "Cost and tokens", tokens: "Tokens and requests", requests: "Requests" };

function DaysTable({ by, measure, columns }: ColumnsProps) {
  const { names, others, days } = columns;
  const below = belowOf(measure);
  const amounts = ({ amount, below: under, requests }: CellAmounts) =>
    amount === 0 && under === 0 ? (
      <span class="hint">{requests > 0 ? amountInWords("requests", requests) : "–"}</span>
    ) : (
      <>
        {amountOf(measure, amount)}
        {below !== measure && <span class="usage-below hint">{amountInWords(below, under)}</span>}
      </>
    );
  const sum = sumOfDays(columns);
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`${TITLES[measure]} by day and ${by}`}>
      <table class="usage-table usage-days-table">
        <caption class="usage-caption">{TITLES[measure]} by day and {by}</caption>
        <thead>
          <tr>
            <th scope="col">Day</th>
            <th scope="col" class="number">All</th>
            {names.map((name) => <th key={name} scope="col" class="number">{nameInWords(by, name)}</th>)}
            {others > 0 && <th scope="col" class="number">{othersInWords(others)}</th>}
          </tr>
        </thead>
        <tbody>
          {days.map(({ day, isOver, cells, all }) => (
            <tr key={day}>
              <th scope="row"><time dateTime={day} title={day}>{dayInWords(day)}</time>{!isOver && <span class="usage-below hint">so far</span>}</th>
              <td class="number">{amounts(all)}</td>
              {cells.map((cell, index) => <td key={index} class="number">{amounts(cell)}</td>)}
            </tr>
          ))}
        </tbody>
        {days.length > 1 && (
          <tfoot>
            <tr>
              <th scope="row">{days.length} days</th>
              <td class="number">{amounts(sum.all)}</td>
              {sum.cells.map((cell, index) => <td key={index} class="number">{amounts(cell)}</td>)}
            </tr>
          </tfoot>
        )}
      </table>
    </div>
  );
}

function LongerTimes() {
  return (
    <details>
      <summary>Longer than 35 days</summary>
      <p>
        Workers Analytics Engine has three months, if the binding <code>METRICS</code> is set. This is{" "}
        <code>examples/analytics/usage-by-client.sql</code>; its README says how to run it. With Prometheus:{" "}
        <code>increase(switchyard_cost_usd_total[1d])</code>.
      </p>
      <pre class="scroll" tabIndex={0}>{byDay}</pre>
      <p class="row"><CopyButton text={byDay} name="the query" /></p>
    </details>
  );
}
