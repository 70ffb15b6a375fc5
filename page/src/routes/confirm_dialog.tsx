// Asks before something is done that others notice. Closed by Escape or "Cancel", it does nothing;
// while it is done, it stays.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { Modal } from "../elements/modal";

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
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const id = useId();
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem("");
    try {
      await onConfirm(reason.trim());
      onClose();
    } catch (error) {
      setProblem((error as Error).message);
      setBusy(false);
    }
  };
  return (
    <Modal title={title} onEscape={isBusy ? undefined : onClose}>
      <form onSubmit={submit}>
        {children}
        {why === undefined && (
          <>
            <label for={`${id}-why`}>Reason (optional, for the history)</label>
            <input id={`${id}-why`} maxLength={500} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
          </>
        )}
        {problem && <p class="problem" role="alert">{problem}</p>}
        <div class="row routes-dialog-buttons">
          <button type="button" class="quiet" disabled={isBusy} onClick={onClose}>Cancel</button>
          <button type="submit" class={isDangerous ? "danger" : ""} disabled={isBusy}>{action}</button>
        </div>
      </form>
    </Modal>
  );
}
