// The canary that runs: both versions beside each other, what speaks against the new one, and how to
// end it by hand.

import { useState } from "preact/hooks";
import { count, digits, duration, percent } from "../format.ts";
import { linkTo } from "../location";
import { ConfirmDialog } from "./confirm_dialog";
import { Moment } from "../moment";
import { endCanary, type Canary, type VersionCounts } from "./routes_api";

const TESTS = [
  { key: "failures", title: "Failures", about: "requests that failed" },
  { key: "fallbacks", title: "Fallbacks", about: "requests of which an attempt failed" },
  { key: "slowness", title: "Slowness", about: "answers that began later than nine of ten of the old version" },
] as const;

interface CanaryPanelProps {
  canary: Canary;
  mayChange: boolean;
  onEnd: () => void;
}

export function CanaryPanel({ canary, mayChange, onEnd }: CanaryPanelProps) {
  const [asked, setAsked] = useState<"promote" | "take_back">();
  const served = canary.new.requests;
  return (
    <section class="panel routes-canary" aria-labelledby="canary-title">
      <h2 id="canary-title">A canary runs</h2>
      <p>
        Version <code>{canary.version}</code> serves {canary.share} % of the requests, <code>{canary.base}</code> the
        rest. It ends <Moment at={canary.until} />.{" "}
        {served < canary.least_requests
          ? `To take over, it has to serve ${canary.least_requests} requests; it has served ${served}. With fewer it is taken back.`
          : "It takes over then, unless it turns out to be worse."}
      </p>
      <div class="routes-canary-parts">
        <div class="scroll" tabIndex={0} role="region" aria-label="Both versions beside each other">
          <table>
            <caption class="routes-caption">Both versions beside each other</caption>
            <thead>
              <tr>
                <th scope="col">Version</th>
                <th scope="col" class="number">Requests</th>
                <th scope="col" class="number">Failed</th>
                <th scope="col" class="number">Fell back</th>
                <th scope="col" class="number">p50</th>
                <th scope="col" class="number">p95</th>
              </tr>
            </thead>
            <tbody>
              <Counts title="old" counts={canary.old} />
              <Counts title="new" counts={canary.new} />
            </tbody>
          </table>
        </div>
        <div>
          <h3>Evidence that the new version is worse</h3>
          <p class="hint">At {count(canary.enough_evidence)} it is taken back at once. The scale is logarithmic.</p>
          <dl class="routes-evidence">
            {TESTS.map(({ key, title, about }) => (
              <Evidence key={key} title={title} about={about} value={canary.evidence[key]} enough={canary.enough_evidence} />
            ))}
          </dl>
        </div>
      </div>
      {mayChange && (
        <div class="row">
          <button type="button" onClick={() => setAsked("promote")}>Promote …</button>
          <button type="button" class="danger" onClick={() => setAsked("take_back")}>Take back …</button>
          <a href={linkTo("routes", `history/${canary.base}`)}>The version before</a>
        </div>
      )}
      {asked === "promote" && (
        <ConfirmDialog title="Promote the canary?" action="Promote" onConfirm={(why) => endCanary("promote", why).then(onEnd)} onClose={() => setAsked(undefined)}>
          <p>
            Version <code>{canary.version}</code> then serves all requests. Other isolates follow within 90 seconds. A
            rollback brings the old version back.
          </p>
        </ConfirmDialog>
      )}
      {asked === "take_back" && (
        <ConfirmDialog title="Take the canary back?" action="Take back" isDangerous onConfirm={(why) => endCanary("take_back", why).then(onEnd)} onClose={() => setAsked(undefined)}>
          <p>
            Version <code>{canary.base}</code> then serves all requests again, in all isolates within 90 seconds. The
            text of the canary is not kept in the history.
          </p>
        </ConfirmDialog>
      )}
    </section>
  );
}

function Counts({ title, counts }: { title: string; counts: VersionCounts }) {
  const share = (part: number) => (counts.requests > 0 ? ` (${percent(part / counts.requests)})` : "");
  const time = (ms: number | null) => (ms === null ? "–" : `≤ ${duration(ms)}`);
  return (
    <tr>
      <th scope="row">{title}</th>
      <td class="number">{count(counts.requests)}</td>
      <td class="number">{count(counts.failed)}{share(counts.failed)}</td>
      <td class="number">{count(counts.fell_back)}{share(counts.fell_back)}</td>
      <td class="number">{time(counts.p50)}</td>
      <td class="number">{time(counts.p95)}</td>
    </tr>
  );
}

function Evidence({ title, about, value, enough }: { title: string; about: string; value: number; enough: number }) {
  // A bet begins with 1. What has lost counts for nothing against the version.
  const part = Math.min(1, Math.max(0, Math.log(Math.max(1, value)) / Math.log(enough)));
  return (
    <>
      <dt title={about}>{title}</dt>
      <dd>
        <meter min={0} max={1} low={0.5} high={0.8} optimum={0} value={part} aria-label={`${title}: ${digits(value, 2)} of ${enough}`} />
        <span>{digits(value, 2)}</span>
      </dd>
    </>
  );
}
