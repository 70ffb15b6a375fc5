// The state of a deployment in a word, with its colour, and what is said of it.

import { Elapsed, Moment } from "../moment";
import type { DeploymentState } from "./deployment_state.ts";
import type { StateChanges } from "./state_changes.ts";

export function StateBadge({ state }: { state: DeploymentState }) {
  return <span class={`now-badge now-tone-${state.tone}`}>{state.state}</span>;
}

/** Why, since when, and when it is probed next. */
export function StateReason({ state, changes, ahead }: { state: DeploymentState; changes: StateChanges; ahead: number }) {
  const since = changes.since(state.name);
  const isQuiet = state.tone === "good" && since?.isAtLeast !== false;
  return (
    <>
      {[state.why, ...state.notes].map((text) => text && <span key={text}>{sentence(text)} </span>)}
      {since && !isQuiet && (
        <span class="hint">
          {since.isAtLeast ? "For at least " : "For "}
          <Elapsed since={since.at} />.{" "}
        </span>
      )}
      {state.isProbing && <span class="hint">A probe is under way. </span>}
      {state.nextProbe !== undefined && !state.isProbing && (
        <span class="hint">
          Next probe <NextProbe at={state.nextProbe} ahead={ahead} />.
        </span>
      )}
    </>
  );
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

function NextProbe({ at, ahead }: { at: number; ahead: number }) {
  if (at <= Date.now() + ahead) return <>with the next request</>;
  return <Moment at={at} ahead={ahead} />;
}
