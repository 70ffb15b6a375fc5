// Issues a key for a client of the routes document.

import { useState } from "preact/hooks";
import { Modal } from "../elements/modal";
import { ProblemNote } from "../elements/problem_note";
import { useActing } from "../elements/acting.ts";
import { modelsIn } from "./issued_key.ts";
import { issueKey, type KeyWish, type ShownKey } from "./key_calls.ts";
import { NewKey } from "./new_key";

interface IssueDialogProps {
  /** The clients for which keys may be issued. */
  clients: string[];
  onDone: (message: string) => void;
  onCancel: () => void;
}

export function IssueDialog({ clients, onDone, onCancel }: IssueDialogProps) {
  const [issued, setIssued] = useState<ShownKey>();
  const { isUnderWay, error, run } = useActing();
  if (issued) {
    return (
      <Modal key="new" title="The new key">
        <NewKey issued={issued} onDone={() => onDone(`${issued.id} is issued for ${issued.client}.`)} />
      </Modal>
    );
  }
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const wish: KeyWish = { client: text("client"), name: text("name") };
    const models = modelsIn(text("models"));
    if (text("owner")) wish.owner = text("owner");
    if (models) wish.models = models;
    if (text("expires")) wish.expires = text("expires");
    run(async () => setIssued(await issueKey(wish, text("why"))));
  };
  return (
    <Modal key="form" title="Issue a key" onEscape={isUnderWay ? undefined : onCancel}>
      <form onSubmit={submit}>
        <label for="issue-client">Client</label>
        <select id="issue-client" name="client" required>
          {clients.map((client) => <option key={client} value={client}>{client}</option>)}
        </select>
        <label for="issue-name">Name: what the key is for</label>
        <input id="issue-name" name="name" required maxLength={128} autocomplete="off" />
        <label for="issue-owner">Owner (optional)</label>
        <input id="issue-owner" name="owner" maxLength={128} autocomplete="off" />
        <label for="issue-models">Models (optional)</label>
        <input id="issue-models" name="models" placeholder="chat-*, embed" aria-describedby="issue-models-hint" autocomplete="off" spellcheck={false} />
        <p id="issue-models-hint" class="hint">Names or patterns, with commas. Without any: all that the client may use.</p>
        <label for="issue-expires">Last day, UTC (optional)</label>
        <input id="issue-expires" name="expires" type="date" min={new Date().toISOString().slice(0, 10)} />
        <label for="issue-why">Reason, for the log of acts (optional)</label>
        <input id="issue-why" name="why" maxLength={500} autocomplete="off" />
        {error && <ProblemNote error={error} what="No key is issued." />}
        <div class="row">
          <button type="submit" disabled={isUnderWay}>Issue</button>
          <button type="button" class="quiet" disabled={isUnderWay} onClick={onCancel}>Cancel</button>
        </div>
      </form>
    </Modal>
  );
}
