// The versions of the document, and one of them with what it changed.

import { useState } from "preact/hooks";
import { count } from "../format.ts";
import { linkTo } from "../location";
import { usePolled } from "../polled";
import { ConfirmDialog } from "./confirm_dialog";
import { Difference, PlaceList } from "./difference";
import { Moment } from "../moment";
import { readDocument, readHistory, readVersion, rollBack, type RoutesStatus, type VersionEntry } from "./routes_api";

const HOW: Record<VersionEntry["how"], string> = {
  found: "served when the history began",
  put: "saved",
  rollback: "rolled back",
  canary: "took over as a canary",
  outside: "written past the API",
};

export function HistoryList() {
  const { value, error } = usePolled("history", 15_000, readHistory);
  if (!value) return error ? <p class="problem" role="alert">{error.message}</p> : <p class="hint">Loading …</p>;
  if (value.length === 0) return <p class="hint">No version is recorded yet. The first one is recorded with the first change.</p>;
  return (
    <>
      {error && <p class="problem" role="alert">{error.message}</p>}
      <div class="scroll" tabIndex={0} role="region" aria-label="Versions">
        <table>
          <caption class="routes-caption">The last {value.length === 1 ? "version" : `${value.length} versions`}, latest first</caption>
          <thead>
            <tr>
              <th scope="col" class="number">Number</th>
              <th scope="col">Version</th>
              <th scope="col">When</th>
              <th scope="col">Who</th>
              <th scope="col">How</th>
              <th scope="col">Why</th>
              <th scope="col" class="number">Places changed</th>
            </tr>
          </thead>
          <tbody>
            {value.map((entry) => (
              <tr key={entry.number}>
                <td class="number">{entry.number}</td>
                <th scope="row">
                  <a class="mono" href={linkTo("routes", `history/${entry.version}`)}>{entry.version}</a>
                  {entry.replaced_at === null && <span class="routes-tag">serves</span>}
                </th>
                <td><Moment at={entry.at} /></td>
                <td>{entry.who}</td>
                <td>{HOW[entry.how]}</td>
                <td class="routes-why">{entry.why ?? "–"}</td>
                <td class="number">{count(entry.changes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

interface VersionPageProps {
  version: string;
  status: RoutesStatus | undefined;
  onChanged: () => void;
}

export function VersionPage({ version, status, onChanged }: VersionPageProps) {
  const found = usePolled(`version ${version}`, 60_000, (signal) => readVersion(version, signal));
  const served = usePolled(`document ${status?.version}`, 60_000, readDocument);
  const [isAsked, setAsked] = useState(false);
  const [done, setDone] = useState("");
  const back = <p><a href={linkTo("routes", "history")}>All versions</a></p>;
  const entry = found.value;
  if (!entry) {
    return <>{back}{found.error ? <p class="problem" role="alert">{found.error.message}</p> : <p class="hint">Loading …</p>}</>;
  }
  const isCurrent = served.value?.version === version;
  return (
    <>
      {back}
      <h2>Version {entry.number}: <code>{entry.version}</code></h2>
      <dl class="routes-facts">
        <dt>When</dt><dd><Moment at={entry.at} /></dd>
        <dt>Who</dt><dd>{entry.who}</dd>
        <dt>How</dt><dd>{HOW[entry.how]}</dd>
        <dt>Why</dt><dd>{entry.why ?? "no reason was given"}</dd>
        <dt>Served until</dt><dd>{entry.replaced_at === null ? "now" : <Moment at={entry.replaced_at} />}</dd>
      </dl>
      {status?.caller.may_change && !isCurrent && served.value && (
        <p><button type="button" class="danger" onClick={() => setAsked(true)}>Roll back to this version …</button></p>
      )}
      <p role="status">{done}</p>
      {isAsked && (
        <ConfirmDialog
          title={`Roll back to version ${entry.number}?`}
          action="Roll back"
          isDangerous
          onClose={() => setAsked(false)}
          onConfirm={async (why) => {
            const change = await rollBack(version, why);
            setDone(`Version ${change.version} serves again here. All other isolates follow within ${change.others_follow_within_seconds} seconds.`);
            served.refresh();
            onChanged();
          }}
        >
          <p>
            The text of this version then serves all requests: here at once, in all other isolates within 90 seconds. It
            has to compile with the variables of today.
          </p>
        </ConfirmDialog>
      )}
      {entry.difference && entry.difference.changes.length > 0 && <PlaceList difference={entry.difference} />}
      <h3>Compared with the version that serves</h3>
      {isCurrent ? (
        <p class="hint">This version serves.</p>
      ) : served.value ? (
        <Difference old={entry.document} new={served.value.text} oldLabel={`Version ${entry.number}`} newLabel={`Serves: ${served.value.version}`} />
      ) : (
        <p class="hint">{served.error?.message ?? "Loading …"}</p>
      )}
      <details>
        <summary>The whole text</summary>
        <pre class="scroll routes-whole" tabIndex={0}>{entry.document}</pre>
      </details>
    </>
  );
}
