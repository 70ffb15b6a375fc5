// By what usage is added up: the choice that stands in the address.

import { linkTo } from "../location";
import { type Period, periodOf, PERIODS } from "./usage_days.ts";
import type { Grouping } from "./usage_totals.ts";

export const GROUPINGS: { by: Grouping; title: string }[] = [
  { by: "client", title: "Client" },
  { by: "model", title: "Model" },
  { by: "deployment", title: "Deployment" },
];

export const groupingOf = (query: URLSearchParams): Grouping => GROUPINGS.find(({ by }) => by === query.get("by"))?.by ?? "client";

/** The address with these choices. The usual number of days is left out. */
export const usageLink = (by: Grouping, days: Period) => linkTo("usage", undefined, { by, ...(days !== PERIODS[0] && { days: String(days) }) });

/** A name; requests without a valid key have no client. */
export const nameInWords = (by: Grouping, name: string) => name || (by === "client" ? "no valid key" : "none");

export function GroupingLinks({ query }: { query: URLSearchParams }) {
  const [chosen, days] = [groupingOf(query), periodOf(query.get("days"))];
  return (
    <nav class="usage-groupings row" aria-label="Group by">
      <span class="hint">By</span>
      {GROUPINGS.map(({ by, title }) => (
        <a key={by} href={usageLink(by, days)} aria-current={by === chosen ? "true" : undefined}>{title}</a>
      ))}
    </nav>
  );
}
