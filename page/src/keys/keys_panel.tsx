// The issued keys: a list, and dialogs to issue, rotate and revoke.
//
// A new key is in the memory of its dialog alone: it is gone when the dialog or the view is left.

import { useState } from "preact/hooks";
import { callJson } from "../admin_api";
import { ProblemNote } from "../elements/problem_note";
import { linkTo } from "../location";
import { usePolled } from "../polled";
import type { LimitUsage } from "../usage/limit_words.ts";
import { IssueDialog } from "./issue_dialog";
import { type IssuedKey, type KeyFilters, shownKeys } from "./issued_key.ts";
import { readKeys } from "./key_calls.ts";
import { KeyTable } from "./key_table";
import { RevokeDialog } from "./revoke_dialog";
import { RotateDialog } from "./rotate_dialog";

const PAUSE_MS = 60_000;

type Act = { kind: "issue" } | { kind: "rotate" | "revoke"; key: IssuedKey };

interface KeyDocument {
  clients?: Record<string, { allow_keys?: boolean }>;
}

export function KeysPanel({ query }: { query: URLSearchParams }) {
  const list = usePolled("keys", PAUSE_MS, readKeys);
  const limits = usePolled("limits of keys", PAUSE_MS, (signal) => callJson<{ limits: LimitUsage[] }>("/admin/api/usage", { signal }));
  const document = usePolled("document of keys", PAUSE_MS, (signal) => callJson<KeyDocument>("/admin/api/routes/document", { signal }));
  const [act, setAct] = useState<Act>();
  const [message, setMessage] = useState("");
  const filters = { client: query.get("client") ?? "", state: query.get("state") ?? "", text: query.get("text") ?? "" };
  const allowed = Object.entries(document.value?.clients ?? {}).filter(([, { allow_keys }]) => allow_keys).map(([name]) => name);

  const done = (text: string) => {
    setMessage(text);
    setAct(undefined);
    list.refresh();
  };
  const cancel = () => setAct(undefined);
  return (
    <section class="panel" aria-label="Keys">
      <div class="row keys-head">
        <button type="button" disabled={allowed.length === 0} onClick={() => setAct({ kind: "issue" })}>Issue a key</button>
        <p class="keys-message" role="status">{message}</p>
      </div>
      {document.value && allowed.length === 0 && (
        <p class="hint">
          No client of the routes document lets keys be issued: give one <code>"allow_keys": true</code> in <a href={linkTo("routes")}>Routes</a>.
        </p>
      )}
      {list.error && <ProblemNote error={list.error} what={list.value ? "This list is not up to date." : "The keys cannot be listed."} />}
      {!list.value && !list.error && <p class="hint">Loading …</p>}
      {list.value && list.value.keys.length === 0 && (
        <p>No key is issued. Each developer, customer or job can have one of its own, which is narrowed, rotated and revoked alone.</p>
      )}
      {list.value && list.value.keys.length > 0 && (
        <>
          <KeyFilterForm keys={list.value.keys} filters={filters} />
          {list.value.isCut && (
            <p class="warning">There are more keys than these {list.value.keys.length}: <code>switchyard keys list</code> shows all.</p>
          )}
          <KeyTable
            keys={shownKeys(list.value.keys, filters)}
            limits={limits.value?.limits ?? []}
            onRotate={(key) => setAct({ kind: "rotate", key })}
            onRevoke={(key) => setAct({ kind: "revoke", key })}
          />
        </>
      )}
      {act?.kind === "issue" && <IssueDialog clients={allowed} onDone={done} onCancel={cancel} />}
      {act?.kind === "rotate" && <RotateDialog issued={act.key} onDone={done} onCancel={cancel} />}
      {act?.kind === "revoke" && <RevokeDialog issued={act.key} onDone={done} onCancel={cancel} />}
    </section>
  );
}

function KeyFilterForm({ keys, filters }: { keys: IssuedKey[]; filters: KeyFilters }) {
  const clients = [...new Set([...keys.map(({ client }) => client), filters.client])].filter(Boolean).sort();
  const set = (changed: Partial<KeyFilters>) => {
    const entries = Object.entries({ ...filters, ...changed }).filter(([, value]) => value !== "");
    window.location.replace(linkTo("usage", "keys", Object.fromEntries(entries)));
  };
  return (
    <form class="keys-filters" role="search" onSubmit={(event) => event.preventDefault()}>
      <div>
        <label for="keys-text">Find</label>
        <input
          id="keys-text"
          type="search"
          value={filters.text}
          placeholder="name, owner, id"
          onInput={(event) => set({ text: event.currentTarget.value })}
        />
      </div>
      <div>
        <label for="keys-client">Client</label>
        <select id="keys-client" value={filters.client} onChange={(event) => set({ client: event.currentTarget.value })}>
          <option value="">any</option>
          {clients.map((client) => <option key={client} value={client}>{client}</option>)}
        </select>
      </div>
      <div>
        <label for="keys-state">State</label>
        <select id="keys-state" value={filters.state} onChange={(event) => set({ state: event.currentTarget.value })}>
          <option value="">any</option>
          {["active", "expired", "revoked"].map((state) => <option key={state} value={state}>{state}</option>)}
        </select>
      </div>
    </form>
  );
}
