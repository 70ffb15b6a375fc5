// The view "Usage": what is left of limits and budgets, what was used, and the issued keys.

import { KeysPanel } from "../keys/keys_panel";
import { linkTo, type Location } from "../location";
import { DaysPanel } from "./days_panel";
import { LimitsPanel } from "./limits_panel";
import { TotalsPanel } from "./totals_panel";

export function UsageView({ location: { argument, query } }: { location: Location }) {
  const isKeys = argument === "keys";
  return (
    <>
      <h1>{isKeys ? "Issued keys" : "Usage"}</h1>
      <nav class="usage-parts" aria-label="Usage">
        <a href={linkTo("usage")} aria-current={isKeys ? undefined : "page"}>Limits and spend</a>
        <a href={linkTo("usage", "keys")} aria-current={isKeys ? "page" : undefined}>Keys</a>
      </nav>
      {isKeys ? (
        <KeysPanel query={query} />
      ) : (
        <div class="usage-panels">
          <LimitsPanel />
          <TotalsPanel query={query} />
          <DaysPanel query={query} />
        </div>
      )}
    </>
  );
}
