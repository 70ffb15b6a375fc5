// The editor with everything around it: what is wrong with the text, what it changes, what somebody
// else changed meanwhile, and how it comes into service.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ApiError } from "../admin_api";
import { linkTo } from "../location";
import { Difference } from "./difference";
import type { DocumentEditor } from "./document_editor";
import { storedDraft, storeDraft, type Draft } from "./draft.ts";
import { EditorPlace } from "./editor_place";
import { IssueList } from "./issue_list";
import { Meanwhile } from "./meanwhile";
import { Moment } from "../moment";
import { PublishPanel } from "./publish_panel";
import { publish, readDocument, type Change, type Extent, type RoutesStatus, type ServedDocument } from "./routes_api";
import { useCheck, type Checked } from "./use_check";

interface DocumentPanelProps {
  status: RoutesStatus | undefined;
  /** Reads the status again, after a change. */
  onChanged: () => void;
}

export function DocumentPanel({ status, onChanged }: DocumentPanelProps) {
  const [served, setServed] = useState<ServedDocument>();
  const [draft, setDraft] = useState<Draft>();
  const [problem, setProblem] = useState("");
  const [done, setDone] = useState<Change>();
  const [isComparing, setComparing] = useState(false);
  const editor = useRef<DocumentEditor>(undefined);
  const latest = useRef<Draft>(undefined);
  latest.current = draft;

  // Another version may begin to serve at any time: by this page, by somebody else, by a canary.
  useEffect(() => {
    if (!status) return;
    const own = new AbortController();
    readDocument(own.signal).then(
      (found) => {
        setProblem("");
        setServed(found);
        const known = latest.current ?? storedDraft(sessionStorage);
        // The editor has what was typed since the page was last drawn.
        const text = editor.current?.text() ?? known?.text;
        if (known && text !== undefined && text !== known.original && text !== found.text) {
          setDraft({ ...known, text });
          return;
        }
        // Nothing is edited, so the editor follows what serves.
        setDraft({ base: found.version, original: found.text, text: found.text });
        if (text !== found.text) editor.current?.setText(found.text);
      },
      (error: ApiError) => !own.signal.aborted && setProblem(error.message),
    );
    return () => own.abort();
  }, [status === undefined, status?.version, status?.canary?.version]);

  const isEdited = draft !== undefined && draft.text !== draft.original;
  const isKept = useKept(draft);
  useLeaveWarning(isEdited);
  const isReadOnly = status?.caller.may_change === false;
  // Who may only look gets no check, and cannot edit: the warnings of what serves are in the status.
  const asked = useCheck(isReadOnly ? undefined : draft?.text);
  const known = useMemo(() => servedCheck(served, status), [served, status]);
  const checked = isReadOnly ? known : asked;
  const isCurrent = checked !== undefined && checked.text === draft?.text;
  useEffect(() => {
    if (isCurrent && checked.result) editor.current?.mark(checked.result.issues, checked.result.warnings);
  }, [checked, isCurrent]);

  if (!draft || !served) {
    if (problem) return <p class="problem" role="alert">{problem}</p>;
    return <p class="hint">Loading the document …</p>;
  }

  const edit = (text: string) => {
    setDone(undefined);
    setDraft((known) => known && { ...known, text });
  };
  const replace = (next: Draft) => {
    setDraft(next);
    editor.current?.setText(next.text);
  };
  const onPublish = async (why: string, extent: Extent) => {
    const text = draft.text;
    try {
      const change = await publish(text, draft.base, why, extent);
      setDone(change);
      if (extent.kind === "all") {
        setServed({ text, version: change.version });
        setDraft((known) => known && { ...known, base: change.version, original: text });
      }
      onChanged();
    } catch (error) {
      // The version that serves is another one: it is read, so that its changes are shown.
      if ((error as ApiError).code === "routes_changed") {
        setServed(await readDocument());
        throw new Error("Somebody changed the routes meanwhile. Close this, and see what changed.");
      }
      throw error;
    }
  };

  const isOutdated = isEdited && draft.base !== served.version;
  const hindrance = hindranceOf({ status, isEdited, isOutdated, checked: isCurrent ? checked : undefined });
  return (
    <div class="routes-edit">
      <div class="routes-text">
        <div class="row routes-bar">
          <div role="group" aria-label="What is shown">
            <button type="button" class={isComparing ? "quiet" : ""} aria-pressed={!isComparing} onClick={() => setComparing(false)}>Text</button>{" "}
            <button type="button" class={isComparing ? "" : "quiet"} aria-pressed={isComparing} disabled={!isEdited} onClick={() => setComparing(true)}>Difference</button>
          </div>
          <span class="hint">
            {isEdited ? "Edited, based on" : "The document that serves, version"} <code>{draft.base}</code>
          </span>
          {isEdited && (
            <button type="button" class="quiet" onClick={() => replace({ base: served.version, original: served.text, text: served.text })}>
              Discard the edit
            </button>
          )}
        </div>
        {isOutdated && <Meanwhile draft={draft} served={served} onReplace={replace} />}
        <div hidden={isComparing && isEdited}>
          <EditorPlace text={draft.text} isReadOnly={isReadOnly} onChange={edit} onOpen={(opened) => {
            editor.current = opened;
            if (isCurrent && checked?.result) opened.mark(checked.result.issues, checked.result.warnings);
          }} />
          <p class="hint">Ctrl + Space suggests keys, values and names. Tab leaves the editor.</p>
        </div>
        {isComparing && isEdited && <Difference old={served.text} new={draft.text} oldLabel={`Serves: ${served.version}`} newLabel="Edited" />}
      </div>
      <div class="routes-side">
        <CheckSummary checked={checked} isCurrent={isCurrent} />
        {checked?.result && (
          <IssueList
            issues={checked.result.issues}
            warnings={checked.result.warnings}
            lineOf={(issue) => editor.current?.lineOf(issue) ?? 1}
            onShow={(issue) => {
              setComparing(false);
              // Only a text that is shown can be selected.
              requestAnimationFrame(() => editor.current?.show(issue));
            }}
          />
        )}
        {!isKept && <p class="warning">This edit is too large to survive a reload. Keep a copy.</p>}
        {isReadOnly ? (
          <p class="hint panel">You look as <code>{status?.caller.who}</code>, who may change nothing. To put a document into service, sign in with the <code>ADMIN_TOKEN</code>.</p>
        ) : (
          <PublishPanel hindrance={hindrance} onPublish={onPublish} />
        )}
        <div aria-live="polite">{done && <Done change={done} />}</div>
      </div>
    </div>
  );
}

/** What is known of the document that serves without a check. */
function servedCheck(served: ServedDocument | undefined, status: RoutesStatus | undefined): Checked | undefined {
  if (!served || !status) return undefined;
  return { text: served.text, result: { version: served.version, issues: [], warnings: status.warnings }, error: undefined };
}

function CheckSummary({ checked, isCurrent }: { checked: Checked | undefined; isCurrent: boolean }) {
  const counted = (number: number, word: string) => `${number} ${word}${number === 1 ? "" : "s"}`;
  let said = "The gateway checks the text …";
  let tone = "hint";
  // While somebody types, the latest result stays, so that screen readers read out what is new alone.
  if (checked) {
    if (checked.error) {
      [said, tone] = [`The text is not checked: ${checked.error.message}`, "problem"];
    } else if (checked.result) {
      const { issues, warnings } = checked.result;
      const doubts = warnings.length > 0 ? `, ${counted(warnings.length, "warning")}` : "";
      if (issues.length > 0) [said, tone] = [`${counted(issues.length, "problem")}${doubts}. It cannot serve.`, "bad"];
      else if (warnings.length > 0) [said, tone] = [`It can serve${doubts}.`, "warn"];
      else [said, tone] = ["It can serve. No problems, no warnings.", "good"];
    }
  }
  return <p class={`routes-check ${tone}`} role="status" aria-busy={!checked || !isCurrent}>{said}</p>;
}

function Done({ change }: { change: Change }) {
  if (change.canary) {
    return <p class="routes-done">The canary <code>{change.version}</code> runs until <Moment at={change.canary.until} />. Its figures are above.</p>;
  }
  if (!change.is_changed) return <p class="routes-done">The same text serves already. There is no new version.</p>;
  return (
    <p class="routes-done">
      Version <a href={linkTo("routes", `history/${change.version}`)}>{change.version}</a> serves here. All other isolates
      follow within {change.others_follow_within_seconds} seconds.
      {!change.is_recorded && " The registry did not answer; it records the version when an isolate loads it."}
    </p>
  );
}

interface Obstacles {
  status: RoutesStatus | undefined;
  isEdited: boolean;
  isOutdated: boolean;
  checked: Checked | undefined;
}

function hindranceOf({ status, isEdited, isOutdated, checked }: Obstacles): string {
  if (status?.canary) return "A canary runs. It has to end first: see above.";
  if (!isEdited) return "Nothing is edited yet.";
  if (isOutdated) return "Another version serves by now: see above the text.";
  if (!checked) return "The gateway checks the text …";
  if (!checked.result) return "The text is not checked.";
  if (checked.result.issues.length > 0) return "The text has problems.";
  return "";
}

/** Keeps a draft in this tab. Returns whether it survives a reload. */
function useKept(draft: Draft | undefined): boolean {
  const [isKept, setKept] = useState(true);
  useEffect(() => {
    if (draft) setKept(storeDraft(sessionStorage, draft));
  }, [draft]);
  return isKept;
}

/** A tab that is closed loses its edit. */
function useLeaveWarning(isEdited: boolean) {
  useEffect(() => {
    if (!isEdited) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [isEdited]);
}
