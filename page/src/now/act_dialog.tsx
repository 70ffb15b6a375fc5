// Asks before something is changed: what happens, and why it is done.

import { useState } from "preact/hooks";
import { type ApiError, call } from "../admin_api";
import { ApiProblem } from "../api_problem";
import { Modal } from "../elements/modal";
import { type Act, FAULTS } from "./acts.ts";

interface ActDialogProps {
  act: Act;
  /** The name of the deployment. */
  name: string;
  onClose: () => void;
  /** After it is done, with what to announce. */
  onDone: (said: string) => void;
}

export function ActDialog({ act, name, onClose, onDone }: ActDialogProps) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();

  const submit = async (event: Event) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const { path, method, body } = act.request(name, {
      why: String(fields.get("why") ?? ""),
      fault: String(fields.get("fault") ?? ""),
      share: Number(fields.get("share")),
      seconds: Math.round(Number(fields.get("minutes")) * 60),
    });
    setBusy(true);
    setError(undefined);
    try {
      await call(path, { method, ...(body === undefined ? {} : { body }) });
      onDone(act.done(name));
      onClose();
    } catch (problem) {
      setError(problem as ApiError);
      setBusy(false);
    }
  };

  return (
    // While it is done, the dialog stays: what came of it is shown in it.
    <Modal title={act.title(name)} onEscape={isBusy ? undefined : onClose}>
      <form class="now-act" onSubmit={submit}>
        {act.says.map((sentence) => <p key={sentence}>{sentence}</p>)}
        {act.hasFault && <FaultFields />}
        <label>
          Reason, for the log (optional)
          <input name="why" maxLength={200} autocomplete="off" />
        </label>
        {error && <ApiProblem error={error} />}
        <div class="row">
          <button type="submit" class={act.isDanger ? "danger" : undefined} disabled={isBusy}>{act.confirm}</button>
          <button type="button" class="quiet" disabled={isBusy} onClick={onClose}>Cancel</button>
        </div>
      </form>
    </Modal>
  );
}

function FaultFields() {
  return (
    <>
      <label>
        What its attempts get
        <select name="fault">
          {FAULTS.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
        </select>
      </label>
      <label>
        Share of the attempts, in percent
        <input name="share" type="number" min={1} max={100} step={1} value={20} required />
      </label>
      <label>
        Minutes
        <input name="minutes" type="number" min={0.5} max={60} step={0.5} value={2} required />
      </label>
    </>
  );
}
