// What somebody else changed while an edit was under way, and how both come together.

import { useEffect, useState } from "preact/hooks";
import { Difference } from "./difference";
import type { Draft } from "./draft.ts";
import { Moment } from "../moment";
import { readHistory, type ServedDocument, type VersionEntry } from "./routes_api";

interface MeanwhileProps {
  draft: Draft;
  served: ServedDocument;
  onReplace: (next: Draft) => void;
}

export function Meanwhile({ draft, served, onReplace }: MeanwhileProps) {
  const [version, setVersion] = useState<VersionEntry>();
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    readHistory().then((versions) => setVersion(versions.find(({ version }) => version === served.version)), () => {});
  }, [served.version]);
  // `text` is undefined if the two cannot be put together.
  const [both, setBoth] = useState<{ text: string | undefined }>();
  useEffect(() => {
    let isOld = false;
    import("./both_changes").then(
      ({ bothChanges }) => isOld || setBoth({ text: bothChanges(draft.original, draft.text, served.text) }),
      () => isOld || setBoth({ text: undefined }),
    );
    return () => {
      isOld = true;
    };
  }, [draft, served]);
  const next = { base: served.version, original: served.text };
  return (
    <section class="warning routes-meanwhile" aria-label="A change meanwhile">
      <p role="alert">
        <strong>Somebody changed the routes meanwhile.</strong> Your edit is based on <code>{draft.base}</code>, and{" "}
        <code>{served.version}</code> serves
        {version && <>: by {version.who}, <Moment at={version.at} />{version.why && <>, “{version.why}”</>}</>}.
      </p>
      <div class="row">
        {both?.text !== undefined && (
          <button type="button" onClick={() => onReplace({ ...next, text: both.text ?? draft.text })}>Put both together</button>
        )}
        {both && both.text === undefined && (
          <button type="button" class="quiet" onClick={() => onReplace({ ...next, text: draft.text })}>
            Keep my text; it takes their change back
          </button>
        )}
        <button type="button" class="quiet" aria-expanded={isShown} onClick={() => setShown(!isShown)}>
          {isShown ? "Hide their change" : "Show their change"}
        </button>
      </div>
      {both && both.text === undefined && <p>Both change the same lines, so they cannot be put together here.</p>}
      {isShown && <Difference old={draft.original} new={served.text} oldLabel={`Before: ${draft.base}`} newLabel={`Serves: ${served.version}`} />}
    </section>
  );
}
