// Asks before something is changed: what happens, and why it is done.

import { call } from "../admin_api";
import { useActing } from "../elements/acting.ts";
import { Modal } from "../elements/modal";
import { ProblemNote } from "../elements/problem_note";
import { type Act, FAULTS } from "./acts.ts";

interface ActDialogProps {
  act: Act;
  /** The names of the deployments, at least one. */
  names: string[];
  /** What they are called together. */
  subject: string;
  onClose: () => void;
  /** After it is done, with what to announce. */
  onDone: (said: string) => void;
}

export function ActDialog({ act, names, subject, onClose, onDone }: ActDialogProps) {
  const { isUnderWay, error, run } = useActing();

  const submit = (event: Event) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const answers = {
      why: String(fields.get("why") ?? ""),
      fault: String(fields.get("fault") ?? ""),
      share: Number(fields.get("share")),
      seconds: Math.round(Number(fields.get("minutes")) * 60),
    };
    run(async () => {
      // If one fails, the dialog stays. To do it again for those before it changes nothing.
      for (const name of names) {
        const { path, method, body } = act.request(name, answers);
        await call(path, { method, ...(body === undefined ? {} : { body }) });
      }
      onDone(names.map(act.done).join(" "));
      onClose();
    });
  };

  return (
    // While it is done, the dialog stays: what came of it is shown in it.
    <Modal title={act.title(subject)} onEscape={isUnderWay ? undefined : onClose}>
      <form class="now-act" onSubmit={submit}>
        {names.length > 1 && <p>For each of them: {names.join(", ")}.</p>}
        {act.says.map((sentence) => <p key={sentence}>{sentence}</p>)}
        {act.hasFault && <FaultFields />}
        <label>
          Reason, for the log (optional)
          <input name="why" maxLength={200} autocomplete="off" />
        </label>
        {error && <ProblemNote error={error} />}
        <div class="row">
          <button type="submit" class={act.isDanger ? "danger" : undefined} disabled={isUnderWay}>{act.confirm}</button>
          <button type="button" class="quiet" disabled={isUnderWay} onClick={onClose}>Cancel</button>
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
