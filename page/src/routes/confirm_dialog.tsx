// Asks before something is done that others notice. Closed by Escape or "Cancel", it does nothing;
// while it is done, it stays.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { useActing } from "../elements/acting.ts";
import { Modal } from "../elements/modal";
import { ProblemNote } from "../elements/problem_note";

interface ConfirmDialogProps {
  title: string;
  /** The word on the button that does it. */
  action: string;
  isDangerous?: boolean;
  children: ComponentChildren;
  /** Does it. What it throws is shown, and the dialog stays. */
  onConfirm: (why: string) => Promise<void>;
  onClose: () => void;
  /** A reason that was written before; without it, the dialog asks for one. */
  why?: string;
}

export function ConfirmDialog({ title, action, isDangerous, children, onConfirm, onClose, why }: ConfirmDialogProps) {
  const [reason, setReason] = useState(why ?? "");
  const { isUnderWay, error, run } = useActing();
  const id = useId();
  const submit = (event: Event) => {
    event.preventDefault();
    run(async () => {
      await onConfirm(reason.trim());
      onClose();
    });
  };
  return (
    <Modal title={title} onEscape={isUnderWay ? undefined : onClose}>
      <form onSubmit={submit}>
        {children}
        {why === undefined && (
          <>
            <label for={`${id}-why`}>Reason (optional, for the history)</label>
            <input id={`${id}-why`} maxLength={500} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
          </>
        )}
        {error && <ProblemNote error={error} />}
        <div class="row routes-dialog-buttons">
          <button type="button" class="quiet" disabled={isUnderWay} onClick={onClose}>Cancel</button>
          <button type="submit" class={isDangerous ? "danger" : ""} disabled={isUnderWay}>{action}</button>
        </div>
      </form>
    </Modal>
  );
}
