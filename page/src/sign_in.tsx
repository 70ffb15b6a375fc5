// Asks for the token of the admin API, unless the gateway lets whoever looks in without one
// (Cloudflare Access) or this tab has one already.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, call, token } from "./admin_api";

/** The pause before the gateway is called again, while it does not answer. */
const RETRY_MS = 3_000;

export function SignIn({ onDone }: { onDone: () => void }) {
  const [isAsking, setAsking] = useState(false);
  const [problem, setProblem] = useState("");
  const [value, setValue] = useState("");
  const retry = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  const attempt = async (isFirst: boolean) => {
    try {
      await call("/admin/api/routes");
      onDone();
    } catch (error) {
      const { isUnauthorized, message, status } = error as ApiError;
      const isNews = !(isFirst && isUnauthorized && !token.get());
      setProblem(isNews ? message : "");
      setAsking(true);
      if (status === 0) retry.current = setTimeout(() => void attempt(isFirst), RETRY_MS);
    }
  };
  useEffect(() => {
    void attempt(true);
    return () => clearTimeout(retry.current);
  }, []);
  if (!isAsking) return <p class="hint center">Loading …</p>;

  const submit = (event: Event) => {
    event.preventDefault();
    token.set(value.trim());
    setProblem("");
    clearTimeout(retry.current);
    void attempt(false);
  };
  return (
    <main class="sign-in">
      <h1>Switchyard</h1>
      <form onSubmit={submit}>
        <label for="token">Admin token</label>
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          value={value}
          aria-describedby="token-hint"
          onInput={(event) => setValue(event.currentTarget.value)}
        />
        <p id="token-hint" class="hint">
          The value of <code>ADMIN_TOKEN</code>, or of <code>VIEWER_TOKEN</code> to look only. It stays in this tab.
        </p>
        {problem && <p role="alert" class="problem">{problem}</p>}
        <button type="submit" disabled={value.trim() === ""}>Sign in</button>
      </form>
    </main>
  );
}
