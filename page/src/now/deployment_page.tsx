// One deployment: its state, its figures, what failed there, and what an administrator can do.

import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { digits, duration, percent } from "../format.ts";
import { linkTo } from "../location";
import { Moment } from "../moment";
import { type Act, actsFor } from "./acts.ts";
import { ActDialog } from "./act_dialog";
import { deploymentFigures, Figures } from "./figures";
import type { Gateway } from "./gateway_watch";
import { LiveGraph } from "./live_graph";
import { StateBadge, StateReason } from "./state_cell";
import type { DeploymentState } from "./deployment_state.ts";

interface DeploymentPageProps {
  name: string;
  gateway: Gateway;
  announce: (said: string) => void;
}

export function DeploymentPage({ name, gateway, announce }: DeploymentPageProps) {
  const { states, health, traffic, history, changes, graph, ahead, refresh } = gateway;
  const [asked, setAsked] = useState<Act>();
  const figures = useMemo(() => deploymentFigures(name), [name]);
  const state = states.find((one) => one.name === name);
  const entry = health?.deployments.find(({ deployment }) => deployment === name);
  const own = traffic?.deployments.get(name);
  const seen = changes.of(name);
  return (
    <>
      <p><a href={linkTo("now")}>All deployments</a></p>
      <div class="row">
        <h1 class="now-name">{name}</h1>
        {state && <StateBadge state={state} />}
      </div>
      {!health && <p class="hint">Reading its state …</p>}
      {health && !state && (
        <p class="problem" role="alert">
          The routes document has no deployment of this name. <a href={linkTo("now")}>See those that it has</a>
        </p>
      )}
      {state && (
        <>
          <p class="now-reason"><StateReason state={state} changes={changes} ahead={ahead} /></p>
          <div class="row" role="group" aria-label={`Acts on ${name}`}>
            {actsFor({ isDrained: state.isDrained, hasFault: Boolean(entry?.fault) }).map((act) => (
              <button key={act.id} type="button" class="quiet" onClick={() => setAsked(act)}>{act.button}</button>
            ))}
          </div>
          <section aria-label="Traffic">
            <Figures figures={figures} traffic={traffic} points={history.points} />
          </section>
          <div class="now-columns">
            <Facts state={state} fault={entry?.fault ?? undefined} ahead={ahead} now={health!.now} />
            <section class="panel" aria-labelledby="now-failures">
              <h2 id="now-failures">What failed</h2>
              {!own || own.failed === 0 ? (
                <p class="hint">No attempt of the last minute failed.</p>
              ) : (
                <table>
                  <caption class="hint">
                    Attempts of the last minute. <a href={linkTo("requests", undefined, { deployment: name })}>See the requests</a>
                  </caption>
                  <thead><tr><th scope="col">Class</th><th scope="col" class="number">Attempts</th><th scope="col" class="number">Share</th></tr></thead>
                  <tbody>
                    {[...own.failures].map(([kind, count]) => (
                      <tr key={kind}>
                        <th scope="row"><code>{kind}</code></th>
                        <td class="number">{digits(count, 4)}</td>
                        <td class="number">{percent(count / own.attempts)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              )}
            </section>
            <section class="panel" aria-labelledby="now-changes">
              <h2 id="now-changes">Changes of its state</h2>
              {seen.length === 0 ? (
                <p class="hint">None since this tab was opened.</p>
              ) : (
                <ol class="now-changes">
                  {seen.map((change) => (
                    <li key={change.at}>
                      <Moment at={change.at} /> <span class={`now-badge now-tone-${change.tone}`}>{change.state}</span> {change.why}
                    </li>
                  ))}
                </ol>
              )}
            </section>
          </div>
          {graph && (
            <section class="panel" aria-labelledby="now-around">
              <h2 id="now-around">Routes through it</h2>
              <LiveGraph graph={graph} states={states} traffic={traffic} around={name} />
            </section>
          )}
        </>
      )}
      {asked && (
        <ActDialog
          key={asked.id}
          act={asked}
          names={[name]}
          subject={name}
          onClose={() => setAsked(undefined)}
          onDone={(said) => {
            announce(said);
            refresh();
          }}
        />
      )}
    </>
  );
}

interface FactsProps {
  state: DeploymentState;
  fault: { fault: string; share: number; remaining_ms: number; why: string | null } | undefined;
  ahead: number;
  /** The gateway's time of the reading. */
  now: number;
}

function Facts({ state, fault, ahead, now }: FactsProps) {
  const facts: [string, ComponentChildren][] = [
    ["Headroom", state.headroom === undefined ? undefined : `${percent(state.headroom)} of its limits is left`],
    ["Traffic that it gets", `${percent(state.usualShare)} of the usual`],
    ["Requests in flight, this isolate", String(state.inFlight)],
    ["Average time to an answer", state.latency === undefined ? undefined : duration(state.latency)],
    ["Average time to the first token", state.firstToken === undefined ? undefined : duration(state.firstToken)],
    ["Speed of streams", state.tokensPerSecond === undefined ? undefined : `${digits(state.tokensPerSecond, 3)} tokens/s`],
    ["Last failure", state.lastError && <><code>{state.lastError.class}</code>, <Moment at={state.lastError.at} ahead={ahead} /></>],
    ["Drill", fault && <>{fault.fault} for {fault.share} % of the attempts, ends <Moment at={now + fault.remaining_ms} ahead={ahead} /></>],
  ];
  return (
    <section class="panel" aria-labelledby="now-facts">
      <h2 id="now-facts">What is known of it</h2>
      <dl class="now-facts">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value ?? "–"}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
