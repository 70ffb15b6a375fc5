// Puts an edited document into service: at once, or for a share of the requests first.

import { useState } from "preact/hooks";
import { ConfirmDialog } from "./confirm_dialog";
import type { Extent } from "./routes_api";

interface PublishPanelProps {
  /** Why it cannot be put into service now; empty if it can. */
  hindrance: string;
  onPublish: (why: string, extent: Extent) => Promise<void>;
}

export function PublishPanel({ hindrance, onPublish }: PublishPanelProps) {
  const [why, setWhy] = useState("");
  const [isCanary, setCanary] = useState(true);
  const [share, setShare] = useState(5);
  const [minutes, setMinutes] = useState(10);
  const [isAsked, setAsked] = useState(false);
  const isMinutes = Number.isInteger(minutes) && minutes >= 1 && minutes <= 1440;
  const submit = (event: Event) => {
    event.preventDefault();
    setAsked(true);
  };
  const extent: Extent = isCanary ? { kind: "canary", share, minutes } : { kind: "all" };
  return (
    <>
    <form class="panel routes-publish" aria-labelledby="publish-title" onSubmit={submit}>
      <h2 id="publish-title">Put it into service</h2>
      <label for="publish-why">Reason (optional, for the history)</label>
      <input id="publish-why" maxLength={500} value={why} placeholder="chat moves to Sweden" onInput={(event) => setWhy(event.currentTarget.value)} />
      <fieldset>
        <legend>For</legend>
        <label class="routes-choice">
          <input type="radio" name="extent" checked={isCanary} onChange={() => setCanary(true)} /> a share of the requests
          first (canary)
        </label>
        <div class="routes-canary-terms" hidden={!isCanary}>
          <label for="publish-share">Share: <output>{share} %</output></label>
          <input id="publish-share" type="range" min={1} max={50} value={share} onInput={(event) => setShare(event.currentTarget.valueAsNumber)} />
          <label for="publish-minutes">Minutes</label>
          <input id="publish-minutes" type="number" min={1} max={1440} required={isCanary} value={Number.isNaN(minutes) ? "" : minutes} onInput={(event) => setMinutes(event.currentTarget.valueAsNumber)} />
          <p class="hint">
            It is taken back by itself if its requests fail, fall back or are slower beyond chance. Else it takes over
            then, if it has served 50 requests.
          </p>
        </div>
        <label class="routes-choice">
          <input type="radio" name="extent" checked={!isCanary} onChange={() => setCanary(false)} /> all requests at once
        </label>
      </fieldset>
      <button type="submit" disabled={hindrance !== "" || (isCanary && !isMinutes)}>
        {isCanary ? "Start the canary …" : "Save …"}
      </button>
      {hindrance && <p class="hint">{hindrance}</p>}
    </form>
      {isAsked && (
        <ConfirmDialog
          title={isCanary ? "Start the canary?" : "Save for all requests?"}
          action={isCanary ? "Start" : "Save"}
          why={why}
          onConfirm={() => onPublish(why.trim(), extent)}
          onClose={() => setAsked(false)}
        >
          <p>
            {isCanary
              ? `The document serves ${share} % of the requests for ${minutes} minutes. Nobody can change the routes meanwhile.`
              : "The document serves all requests: here at once, in all other isolates within 90 seconds. A rollback brings the old version back."}
          </p>
        </ConfirmDialog>
      )}
    </>
  );
}
