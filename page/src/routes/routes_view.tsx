// The view "Routes": the document in an editor, a canary that runs, the versions, and the log of acts.

import { useEffect, useRef, useState } from "preact/hooks";
import { linkTo, type Location } from "../location";
import { usePolled } from "../polled";
import { AuditLog } from "./audit_log";
import { CanaryPanel } from "./canary_panel";
import { DocumentPanel } from "./document_panel";
import { HistoryList, VersionPage } from "./history_list";
import { readAudit, readStatus, type AuditEntry, type RoutesStatus } from "./routes_api";

const PARTS = [
  { name: undefined, title: "Document" },
  { name: "history", title: "History" },
  { name: "audit", title: "Log of acts" },
];

export function RoutesView({ location }: { location: Location }) {
  const [part, version] = location.argument?.split("/") ?? [];
  const { value: status, error, refresh } = usePolled("routes", 5_000, readStatus);
  const end = useCanaryEnd(status);
  return (
    <div class="routes">
      <div class="row routes-head">
        <h1>Routes</h1>
        <nav aria-label="Parts of the routes" class="row">
          {PARTS.map(({ name, title }) => (
            <a key={title} href={linkTo("routes", name)} aria-current={part === name ? "page" : undefined}>{title}</a>
          ))}
        </nav>
      </div>
      {error && <p class="problem" role="alert">{error.message}</p>}
      {status && <Troubles status={status} />}
      {status?.canary && <CanaryPanel canary={status.canary} mayChange={status.caller.may_change} onEnd={refresh} />}
      <div aria-live="polite">{end && !status?.canary && <CanaryEnd act={end} />}</div>
      {/* The editor stays while another part is shown, with its steps that can be undone. */}
      <div hidden={part !== undefined}>
        <DocumentPanel status={status} onChanged={refresh} />
      </div>
      {part === "history" && (version ? <VersionPage key={version} version={version} status={status} onChanged={refresh} /> : <HistoryList />)}
      {part === "audit" && <AuditLog />}
    </div>
  );
}

/** What keeps the document in KV, or a part of it, from serving. */
function Troubles({ status: { trouble, source, disabled } }: { status: RoutesStatus }) {
  return (
    <>
      {trouble?.kind === "refused" && (
        <div class="problem" role="alert">
          <p>
            The document in KV does not compile, so {source === "last_good" ? "the last good one" : "an older one"} serves. It was
            written past the API. The next change takes its place.
          </p>
          <ul>
            {trouble.issues?.slice(0, 5).map(({ path, found, expected }) => (
              <li key={path}><code>{path}</code>: found {found}, expected {expected}</li>
            ))}
          </ul>
          {(trouble.issues?.length ?? 0) > 5 && <p>And {(trouble.issues?.length ?? 0) - 5} more problems.</p>}
        </div>
      )}
      {trouble?.kind === "gone" && <p class="problem" role="alert">KV has no document any more. This isolate still serves the last one. Save it again.</p>}
      {source === "compiled_in" && !trouble && <p class="warning">KV has no document yet: the sample of the build serves. Save your own to replace it.</p>}
      {disabled.length > 0 && (
        <p class="warning">
          Disabled until their variables are set:{" "}
          {disabled.map(({ deployment, variable }, index) => (
            <span key={deployment}>{index > 0 && ", "}{deployment} (<code>{variable}</code>)</span>
          ))}
        </p>
      )}
    </>
  );
}

/** The act that ended the canary which ran while somebody looked. */
function useCanaryEnd(status: RoutesStatus | undefined): AuditEntry | undefined {
  const running = useRef<string | undefined>(undefined);
  const [end, setEnd] = useState<AuditEntry>();
  const version = status?.canary?.version;
  useEffect(() => {
    if (!status) return;
    const ended = running.current;
    running.current = version;
    if (version) setEnd(undefined);
    if (version || !ended) return;
    readAudit().then(
      (entries) => setEnd(entries.findLast(({ what, result }) => result === "ok" && /^routes\.canary\.(take_back|take_over)$/.test(what))),
      () => {},
    );
  }, [status === undefined, version]);
  return end;
}

function CanaryEnd({ act }: { act: AuditEntry }) {
  const isTakenBack = act.what.endsWith("take_back");
  return (
    <p class={isTakenBack ? "warning" : "routes-done"}>
      <strong>The canary {isTakenBack ? "was taken back" : "took over"}</strong> by {act.who === "gateway" ? "the gateway itself" : act.who}
      {act.why && `: ${act.why}`}. {isTakenBack && "Its text is still in the editor of whoever wrote it."}
    </p>
  );
}
