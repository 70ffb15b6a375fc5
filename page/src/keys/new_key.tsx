// A new key, which is shown this one time.

import { CopyButton } from "../elements/copy_button";
import type { ShownKey } from "./key_calls.ts";

export function NewKey({ issued: { key, id, is_written }, onDone }: { issued: ShownKey; onDone: () => void }) {
  return (
    <>
      <p>
        This is the only time that <strong>{id}</strong> is shown: the gateway stores its hash alone. It works at once.
      </p>
      <p class="keys-new"><code>{key}</code></p>
      {!is_written && <p class="warning">KV does not have it yet: the registry tries again every five seconds.</p>}
      <div class="row">
        <CopyButton text={key} name="the key" />
        <button type="button" onClick={onDone}>I have stored it</button>
      </div>
    </>
  );
}
