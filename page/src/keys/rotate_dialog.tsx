// Issues a key in the place of another one, which goes on for a while.

import { useState } from "preact/hooks";
import { Modal } from "../elements/modal";
import { ProblemNote } from "../elements/problem_note";
import { utc } from "../format.ts";
import { useActing } from "../elements/acting.ts";
import type { IssuedKey } from "./issued_key.ts";
import { rotateKey, type RotatedKey } from "./key_calls.ts";
import { NewKey } from "./new_key";

const OVERLAPS = [
  { seconds: 0, words: "not at all: it ends within two minutes everywhere" },
  { seconds: 3_600, words: "an hour" },
  { seconds: 86_400, words: "a day" },
  { seconds: 604_800, words: "a week" },
  { seconds: 2_592_000, words: "30 days" },
  { seconds: 7_776_000, words: "90 days" },
];
const USUAL = 86_400;

interface RotateDialogProps {
  issued: IssuedKey;
  onDone: (message: string) => void;
  onCancel: () => void;
}

export function RotateDialog({ issued, onDone, onCancel }: RotateDialogProps) {
  const [rotated, setRotated] = useState<RotatedKey>();
  const { isUnderWay, error, run } = useActing();
  if (rotated) {
    const { old } = rotated;
    const end = old.expires === null ? "" : ` The old key, ${old.id}, ends at ${utc(old.expires)}.`;
    return (
      <Modal key="new" title="The new key">
        <NewKey issued={rotated} onDone={() => onDone(`${rotated.id} takes the place of ${old.id}.${end}`)} />
        <p class="hint">{end}</p>
      </Modal>
    );
  }
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    run(async () => setRotated(await rotateKey(issued.id, Number(form.get("overlap")), String(form.get("why") ?? ""))));
  };
  return (
    <Modal key="form" title={`Rotate ${issued.name} (${issued.id})?`} onEscape={isUnderWay ? undefined : onCancel}>
      <p>A new key is issued with the same client, name, owner, models and end. It is shown once.</p>
      <form onSubmit={submit}>
        <label for="rotate-overlap">The old key goes on for</label>
        <select id="rotate-overlap" name="overlap">
          {OVERLAPS.map(({ seconds, words }) => <option key={seconds} value={seconds} selected={seconds === USUAL}>{words}</option>)}
        </select>
        <label for="rotate-why">Reason, for the log of acts (optional)</label>
        <input id="rotate-why" name="why" maxLength={500} autocomplete="off" />
        {error && <ProblemNote error={error} what="The key is not rotated." />}
        <div class="row">
          <button type="submit" disabled={isUnderWay}>Rotate</button>
          <button type="button" class="quiet" disabled={isUnderWay} onClick={onCancel}>Cancel</button>
        </div>
      </form>
    </Modal>
  );
}
