// What is left of the limits of clients and of the gateway, those that are nearly used up first.

import { callJson } from "../admin_api";
import { ProblemNote } from "../elements/problem_note";
import { percent } from "../format.ts";
import { linkTo } from "../location";
import { Moment } from "../moment";
import { usePolled } from "../polled";
import { limitsOf, type LimitedDocument, unspentOf } from "./document_limits.ts";
import { amountText, byUrgency, isBudget, levelOf, limitName, type LimitUsage, spentShare, usedUpAt, valueText } from "./limit_words.ts";

/** Each call asks every ledger. */
const PAUSE_MS = 15_000;

interface UsageAnswer {
  limits: LimitUsage[];
  is_complete: boolean;
}

export function LimitsPanel() {
  const { value, error, readAt } = usePolled("limits", PAUSE_MS, (signal) => callJson<UsageAnswer>("/admin/api/usage", { signal }));
  const document = usePolled("document of limits", 60_000, (signal) => callJson<LimitedDocument>("/admin/api/routes/document", { signal }));
  return (
    <section class="panel" aria-labelledby="usage-limits">
      <h2 id="usage-limits">Limits and budgets</h2>
      {error && <ProblemNote error={error} what={value ? "These amounts are not up to date." : "What is left is not known."} />}
      {!value && !error && <p class="hint">Loading …</p>}
      {value && !value.is_complete && (
        <p class="warning" role="status">
          Not all ledgers have answered, so some limits are missing here. <code>GET /admin/api/usage?client=NAME</code> asks those of one client.
        </p>
      )}
      {value && <Headline limits={value.limits} />}
      {value && value.limits.length > 0 && (
        <ul class="usage-limits">
          {byUrgency(value.limits).map((limit) => <LimitMeter key={`${limit.client} ${limit.meter}`} limit={limit} readAt={readAt ?? Date.now()} />)}
        </ul>
      )}
      {value && document.value && <Unspent document={document.value} limits={value.limits} isComplete={value.is_complete} />}
    </section>
  );
}

function Headline({ limits }: { limits: LimitUsage[] }) {
  const [over, near, held] = (["over", "near", "held"] as const).map((level) => limits.filter((limit) => levelOf(limit) === level).length);
  if (!over && !near && !held) return limits.length > 0 ? <p class="good" role="status">No limit is nearly used up.</p> : null;
  const texts = [
    over ? `${over} used up` : "",
    near ? `${near} nearly used up (80 % and more)` : "",
    held ? `${held} held by isolates as a whole` : "",
  ].filter(Boolean);
  return <p class={over ? "problem" : "warning"} role="status">{texts.join(", ")}</p>;
}

const MARKS = { over: "used up", near: "nearly used up", held: "nothing free", fine: "" };

function LimitMeter({ limit, readAt }: { limit: LimitUsage; readAt: number }) {
  const { client, unit, amount, spent, leased, free, resets_in_ms } = limit;
  const [level, share, { what, by, models }] = [levelOf(limit), spentShare(limit), limitName(limit)];
  const text = (value: number) => amountText(unit, value);
  const name = `${client ?? "The gateway"}: ${what}${by ? `, ${valueText(by)}` : ""}`;
  const width = (value: number) => `${Math.min(100, amount > 0 ? (value / amount) * 100 : 100)}%`;
  const end = usedUpAt(limit, readAt);
  return (
    <li class={`usage-limit usage-${level}`}>
      <div class="usage-limit-name">
        <strong>{client ?? "the gateway"}</strong> {what}
        {by && <> <span class="usage-by">{valueText(by)}</span></>}
        {models && <span class="hint"> for {models}</span>}{" "}
        {MARKS[level] && <span class="usage-mark">{MARKS[level]}</span>}
      </div>
      <div
        class="usage-meter"
        role="meter"
        aria-label={name}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(Math.min(1, share) * 100)}
        aria-valuetext={`${text(spent)} of ${text(amount)}`}
      >
        <span class="usage-spent" style={{ width: width(spent) }} />
        <span class="usage-leased" style={{ width: width(Math.min(leased, amount - Math.min(spent, amount))) }} />
      </div>
      <div class="usage-limit-words">
        <strong>{text(spent)}</strong> of {text(amount)} {unit === "concurrent" ? "in use" : "spent"} ({percent(share)}), {text(free)} left
        {leased > 0 && <>, {text(leased)} held by isolates and not used</>}
        {resets_in_ms !== null && isBudget(limit) && <>; begins again <Moment at={readAt + resets_in_ms} /></>}
        {!isBudget(limit) && unit !== "concurrent" && <>; comes back evenly</>}
        .{level === "held" && " A request that reserves more than its isolate holds is refused."}
        {end !== undefined && <> At the pace so far it is used up <Moment at={end} />.</>}
      </div>
    </li>
  );
}

function Unspent({ document, limits, isComplete }: { document: LimitedDocument; limits: LimitUsage[]; isComplete: boolean }) {
  const all = limitsOf(document);
  if (all.length === 0 && limits.length === 0) {
    return (
      <p>
        The routes document has no limits. To give a client a budget, add <code>{'"limits": [{ "usd": 500, "per": "month" }]'}</code> to it in{" "}
        <a href={linkTo("routes")}>Routes</a>.
      </p>
    );
  }
  const unspent = unspentOf(all, limits);
  if (unspent.length === 0 || !isComplete) return null;
  return (
    <details>
      <summary>{unspent.length === 1 ? "One limit of which nothing is spent" : `${unspent.length} limits of which nothing is spent`}</summary>
      <ul>
        {unspent.map(({ client, meter, text }) => <li key={`${client} ${meter}`}><strong>{client ?? "the gateway"}</strong> {text}</li>)}
      </ul>
    </details>
  );
}
