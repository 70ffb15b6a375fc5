// Revokes a key, after it has said what that means.

import { Modal } from "../elements/modal";
import { ProblemNote } from "../elements/problem_note";
import { useActing } from "../elements/acting.ts";
import type { IssuedKey } from "./issued_key.ts";
import { revokeKey } from "./key_calls.ts";

interface RevokeDialogProps {
  issued: IssuedKey;
  onDone: (message: string) => void;
  onCancel: () => void;
}

export function RevokeDialog({ issued, onDone, onCancel }: RevokeDialogProps) {
  const { isUnderWay, error, run } = useActing();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const why = String(new FormData(event.currentTarget as HTMLFormElement).get("why") ?? "");
    run(async () => {
      const ended = await revokeKey(issued.id, why);
      const end = `${ended.id} is revoked: it ends everywhere within ${ended.ends_everywhere_within_seconds / 60} minutes.`;
      onDone(ended.is_written ? end : `${end} KV has not taken it yet: the registry tries again every five seconds.`);
    });
  };
  return (
    <Modal title={`Revoke ${issued.name} (${issued.id})?`} onEscape={isUnderWay ? undefined : onCancel}>
      <p>
        Requests with this key get 401 <code>api_key_revoked</code>, within two minutes everywhere. It cannot be undone: whoever uses it
        needs another key.
      </p>
      <form onSubmit={submit}>
        <label for="revoke-why">Reason, for the log of acts (optional)</label>
        <input id="revoke-why" name="why" maxLength={500} autocomplete="off" />
        {error && <ProblemNote error={error} what="The key is not revoked." />}
        <div class="row">
          <button type="submit" class="danger" disabled={isUnderWay}>Revoke</button>
          <button type="button" class="quiet" disabled={isUnderWay} onClick={onCancel}>Keep it</button>
        </div>
      </form>
    </Modal>
  );
}
