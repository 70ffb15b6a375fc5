// The whole gateway: its figures, its graph, and a table of its deployments.

import { useState } from "preact/hooks";
import { digits, duration, percent } from "../format.ts";
import { linkTo } from "../location";
import { type Act, DRAIN, ENABLE } from "./acts.ts";
import { ActDialog } from "./act_dialog";
import type { DeploymentState } from "./deployment_state.ts";
import { Figures, GATEWAY_FIGURES } from "./figures";
import type { Gateway } from "./gateway_watch";
import { LiveGraph } from "./live_graph";
import { StateBadge, StateReason } from "./state_cell";

interface ViewProps {
  gateway: Gateway;
  /** Says something to all who look, also by ear. */
  announce: (said: string) => void;
}

/** So many deployments stand in front. */
const MOST_NAMED = 6;

export function Overview({ gateway, announce }: ViewProps) {
  const { graph, states, traffic, history, routes } = gateway;
  const out = states.filter(({ tone }) => tone === "bad").length;
  return (
    <>
      <div class="row now-head">
        <h1>Now</h1>
        {states.length > 0 && (
          <p class="hint">
            {states.length} deployments, {out === 0 ? "none ejected" : <strong class="bad">{out} ejected</strong>}
            {routes && <> · routes <code>{routes.version}</code></>}
          </p>
        )}
      </div>
      <Attention gateway={gateway} />
      <section aria-label="Traffic">
        <Figures figures={GATEWAY_FIGURES} traffic={traffic} points={history.points} />
        <p class="hint">
          {traffic === undefined
            ? "Counters come in batches, so the first figures take twenty seconds."
            : traffic.requests === 0
              ? "No request has ended within the last minute. Counters are up to 20 seconds old."
              : "Averages of the last minute, of all regions. Counters are up to 20 seconds old."}
        </p>
      </section>
      <section class="panel" aria-labelledby="now-routes">
        <h2 id="now-routes">Routes</h2>
        {graph ? <LiveGraph graph={graph} states={states} traffic={traffic} /> : <p class="hint">Reading the routes document …</p>}
      </section>
      <DeploymentTable gateway={gateway} announce={announce} />
      {traffic && traffic.outcomes.length > 0 && (
        <section class="panel" aria-labelledby="now-outcomes">
          <h2 id="now-outcomes">What did not succeed</h2>
          <div class="scroll">
            <table>
              <caption class="hint">Requests of the last minute, by what came of them. <a href={linkTo("requests")}>See the requests</a></caption>
              <thead>
                <tr><th scope="col">Outcome</th><th scope="col" class="number">Requests</th><th scope="col" class="number">Share</th></tr>
              </thead>
              <tbody>
                {traffic.outcomes.map(({ outcome, requests }) => (
                  <tr key={outcome}>
                    <th scope="row"><code>{outcome}</code></th>
                    <td class="number">{digits(requests, 4)}</td>
                    <td class="number">{percent(requests / traffic.requests)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
    </>
  );
}

/** What does not simply serve, in front of everything that does. */
function Attention({ gateway: { states, changes, ahead } }: Pick<ViewProps, "gateway">) {
  const out = states.filter(({ tone }) => tone !== "good");
  if (out.length === 0) return null;
  return (
    <section class="panel" aria-labelledby="now-attention">
      <h2 id="now-attention">Out of order or taken out</h2>
      <ul class="now-attention">
        {out.slice(0, MOST_NAMED).map((state) => (
          <li key={state.name}>
            <StateBadge state={state} /> <a href={linkTo("now", state.name)}>{state.name}</a>{" "}
            <StateReason state={state} changes={changes} ahead={ahead} />
          </li>
        ))}
      </ul>
      {out.length > MOST_NAMED && <p class="hint">And {out.length - MOST_NAMED} more, below.</p>}
    </section>
  );
}

function DeploymentTable({ gateway, announce }: ViewProps) {
  const { graph, states, traffic, changes, ahead, health, refresh } = gateway;
  const [asked, setAsked] = useState<{ act: Act; names: string[]; subject: string }>();
  const [region, setRegion] = useState("");
  const [isBySlowness, setBySlowness] = useState(false);
  const [filter, setFilter] = useState("");
  const regions = graph?.regions ?? new Map<string, string>();
  const isThere = ({ name }: DeploymentState) => region === "" || regions.get(name) === region;
  const shown = states.filter((state) => isThere(state) && (state.name.includes(filter) || state.state.includes(filter)));
  if (isBySlowness) {
    const p95 = ({ name }: DeploymentState) => traffic?.deployments.get(name)?.p95 ?? -1;
    shown.sort((one, other) => p95(other) - p95(one));
  }
  const ofRegion = (act: Act) => {
    const names = states.filter((state) => isThere(state) && state.isDrained === (act === ENABLE)).map(({ name }) => name);
    if (region === "" || names.length === 0) return null;
    const subject = names.length === 1 ? names[0]! : `${names.length} deployments of ${region}`;
    return (
      <button key={act.id} type="button" class="quiet" onClick={() => setAsked({ act, names, subject })}>
        {act.button} {region}
      </button>
    );
  };
  return (
    <section class="panel" aria-labelledby="now-deployments">
      <div class="row now-head">
        <h2 id="now-deployments">Deployments</h2>
        {regions.size > 0 && (
          <div class="row">
            <label>
              Region{" "}
              <select value={region} onChange={(event) => setRegion(event.currentTarget.value)}>
                <option value="">All</option>
                {[...new Set(regions.values())].sort().map((name) => <option key={name} value={name}>{name}</option>)}
              </select>
            </label>
            {[DRAIN, ENABLE].map(ofRegion)}
          </div>
        )}
        {(states.length > 12 || filter !== "") && (
          <label>
            Filter <input type="search" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
          </label>
        )}
      </div>
      {health && states.length === 0 && <p class="hint">The routes document has no deployments. <a href={linkTo("routes")}>Add one</a></p>}
      {!health && <p class="hint">Reading the state of the deployments …</p>}
      {states.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-labelledby="now-deployments">
          <table class="now-table">
            <thead>
              <tr>
                <th scope="col">Deployment</th>
                <th scope="col">State</th>
                <th scope="col" class="number">Attempts</th>
                <th scope="col" class="number">Share</th>
                <th scope="col" class="number">Failed</th>
                <th scope="col" class="number">p50</th>
                <th scope="col" class="number" aria-sort={isBySlowness ? "descending" : undefined}>
                  <button type="button" class="now-sort" title="The slowest first" onClick={() => setBySlowness(!isBySlowness)}>
                    p95{isBySlowness && " ↓"}
                  </button>
                </th>
                <th scope="col" class="number"><abbr title="The part of its own limits that is left, as its provider says">Headroom</abbr></th>
                <th scope="col">Why</th>
                <td />
              </tr>
            </thead>
            <tbody>
              {shown.map((state) => {
                const own = traffic?.deployments.get(state.name);
                const act = state.isDrained ? ENABLE : DRAIN;
                return (
                  <tr key={state.name}>
                    <th scope="row"><a href={linkTo("now", state.name)}>{state.name}</a></th>
                    <td><StateBadge state={state} /></td>
                    <td class="number">{traffic ? `${digits((own?.attempts ?? 0) / traffic.seconds, 3)} /s` : "–"}</td>
                    <td class="number">{own ? percent(own.share) : "–"}</td>
                    <td class="number">{own ? <span class={own.failed > 0 ? "bad" : undefined}>{percent(own.failed / own.attempts)}</span> : "–"}</td>
                    <td class="number">{own?.p50 === undefined ? "–" : duration(own.p50)}</td>
                    <td class="number">{own?.p95 === undefined ? "–" : duration(own.p95)}</td>
                    <td class="number">{state.headroom === undefined ? "–" : percent(state.headroom)}</td>
                    <td class="now-why"><StateReason state={state} changes={changes} ahead={ahead} /></td>
                    <td>
                      <button type="button" class="quiet" aria-label={`${act.button} ${state.name}`} onClick={() => setAsked({ act, names: [state.name], subject: state.name })}>
                        {act.button}
                      </button>
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {asked && (
        <ActDialog
          key={`${asked.act.id} ${asked.subject}`}
          act={asked.act}
          names={asked.names}
          subject={asked.subject}
          onClose={() => setAsked(undefined)}
          onDone={(said) => {
            announce(said);
            refresh();
          }}
        />
      )}
    </section>
  );
}
