// Issued keys: what the list says of each, in words, and what it warns of.
//
// Pure: `now` is an argument.

import { relative } from "../format.ts";
import type { LimitUsage } from "../usage/limit_words.ts";

/** What a key used. */
export interface KeyUse {
  requests: number;
  /** Of input and output. */
  tokens: number;
  micro_usd: number;
}

/** What `GET /admin/api/keys` has of a key. The key itself is not in it. */
export interface IssuedKey {
  id: string;
  prefix: string;
  client: string;
  name: string;
  owner: string | null;
  models: string[] | null;
  state: "active" | "expired" | "revoked";
  created: number;
  created_by: string;
  expires: number | null;
  revoked: number | null;
  replaces: string | null;
  replaced_by: string | null;
  is_imported: boolean;
  /** The beginning of the hour. */
  last_used: number | null;
  /** In this calendar month, and since it was issued. */
  usage: { month: KeyUse; total: KeyUse };
  /** Whether KV has the latest change. */
  is_written: boolean;
}

const DAY_MS = 86_400_000;
const SOON_MS = 7 * DAY_MS;
const IDLE_MS = 90 * DAY_MS;

/** What an operator may want to do something about, or has to know. */
export function notesOf(key: IssuedKey, now: number): string[] {
  const notes: string[] = [];
  if (!key.is_written) notes.push("KV does not have the latest change yet: the registry tries again every five seconds");
  if (key.state !== "active") return notes;
  if (key.replaced_by) notes.push(`replaced by ${key.replaced_by}`);
  if (key.expires !== null && key.expires - now < SOON_MS) notes.push(`ends ${relative(key.expires, now)}`);
  if (key.last_used === null && now - key.created > SOON_MS) notes.push("never used");
  if (key.last_used !== null && now - key.last_used > IDLE_MS) notes.push("not used for 90 days");
  return notes;
}

export interface KeyFilters {
  client: string;
  state: string;
  text: string;
}

/** Those that match, active ones first, then the newest. */
export function shownKeys(keys: IssuedKey[], { client, state, text }: KeyFilters): IssuedKey[] {
  const words = text.toLowerCase().split(/\s+/);
  const textOf = (key: IssuedKey) => [key.id, key.prefix, key.client, key.name, key.owner ?? "", ...(key.models ?? [])].join(" ").toLowerCase();
  return keys
    .filter((key) => (client === "" || key.client === client) && (state === "" || key.state === state))
    .filter((key) => words.every((word) => textOf(key).includes(word)))
    .sort((a, b) => Number(b.state === "active") - Number(a.state === "active") || b.created - a.created);
}

/** `chat-*, embed` → its names; nothing: what the client may use. */
export function modelsIn(text: string): string[] | undefined {
  const names = text.split(/[\s,]+/).filter(Boolean);
  return names.length > 0 ? names : undefined;
}

/** The limits that are counted for this key alone. */
export function limitsOfKey(limits: LimitUsage[], { id, client }: IssuedKey): LimitUsage[] {
  return limits.filter((limit) => limit.client === client && /\/key(\/|=)/.test(limit.meter) && limit.meter.endsWith(`=${id}`));
}
