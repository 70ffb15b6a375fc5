// Copies a text, and says whether it worked.

import { useState } from "preact/hooks";

export function CopyButton({ text, name }: { text: string; name: string }) {
  const [state, setState] = useState("");
  const copy = async () => {
    try {
      // Browsers offer the clipboard only to pages of HTTPS and of this machine.
      await navigator.clipboard.writeText(text);
      setState("Copied");
    } catch {
      setState("Not copied: select the text, and copy it by hand");
    }
  };
  return (
    <>
      <button type="button" class="quiet" onClick={copy} aria-label={`Copy ${name}`}>Copy</button>
      <span class="hint" role="status">{state}</span>
    </>
  );
}
