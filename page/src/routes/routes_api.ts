// The calls of the admin API about the routes document (docs/changing-routes.md), and their answers.

import { call, callJson } from "../admin_api";
import type { Issue } from "./document_places.ts";

export interface VersionCounts {
  requests: number;
  failed: number;
  fell_back: number;
  p50: number | null;
  p95: number | null;
}

export interface Canary {
  version: string;
  base: string;
  share: number;
  until: number;
  old: VersionCounts;
  new: VersionCounts;
  evidence: { failures: number; fallbacks: number; slowness: number };
  enough_evidence: number;
  least_requests: number;
}

export interface RoutesStatus {
  version: string;
  source: "kv" | "last_good" | "compiled_in";
  warnings: Issue[];
  disabled: { deployment: string; variable: string }[];
  trouble: { kind: "gone" | "refused"; issues?: Issue[] } | null;
  canary: Canary | null;
  caller: { who: string; may_change: boolean };
}

export interface Check {
  version: string | null;
  issues: Issue[];
  warnings: Issue[];
}

export interface VersionEntry {
  number: number;
  version: string;
  who: string;
  why: string | null;
  how: "found" | "put" | "rollback" | "canary" | "outside";
  at: number;
  changes: number;
  replaced_at: number | null;
}

export interface Difference {
  changes: { path: string; old?: unknown; new?: unknown }[];
  more: number;
}

export interface RecordedVersion extends VersionEntry {
  document: string;
  difference: Difference | null;
}

export interface Change {
  version: string;
  number: number | null;
  is_changed: boolean;
  is_recorded: boolean;
  others_follow_within_seconds: number;
  warnings: Issue[];
  difference: Difference | null;
  canary?: { version: string; share: number; until: number };
}

export interface AuditEntry {
  number: number;
  at: number;
  who: string;
  what: string;
  subject: string | null;
  why: string | null;
  result: string;
}

/** The text of the document that serves, with its version. */
export interface ServedDocument {
  text: string;
  version: string;
}

/** How a change begins to serve. */
export type Extent = { kind: "all" } | { kind: "canary"; share: number; minutes: number };

const ROUTES = "/admin/api/routes";

export const readStatus = (signal?: AbortSignal) => callJson<RoutesStatus>(ROUTES, signal ? { signal } : {});

export async function readDocument(signal?: AbortSignal): Promise<ServedDocument> {
  const answer = await call(`${ROUTES}/document`, signal ? { signal } : {});
  const version = (answer.headers.get("etag") ?? "").replace(/^W\//, "").replaceAll('"', "");
  return { text: await answer.text(), version };
}

export const check = (document: string, signal: AbortSignal) =>
  callJson<Check>(`${ROUTES}/check`, { method: "POST", body: document, signal });

export function publish(document: string, base: string, why: string, extent: Extent) {
  // Not the header: a reason may have any character.
  const query = new URLSearchParams(why === "" ? {} : { why });
  if (extent.kind === "canary") {
    query.set("canary", String(extent.share));
    query.set("minutes", String(extent.minutes));
  }
  const path = query.size > 0 ? `${ROUTES}?${query}` : ROUTES;
  return callJson<Change>(path, { method: "PUT", body: document, headers: { "if-match": `"${base}"` } });
}

export const endCanary = (action: "promote" | "take_back", why: string) =>
  callJson(`${ROUTES}/canary`, { method: "POST", body: { action, ...(why && { why }) } });

export const rollBack = (version: string, why: string) =>
  callJson<Change>(`${ROUTES}/rollback`, { method: "POST", body: { version, ...(why && { why }) } });

export const readHistory = async (signal?: AbortSignal) =>
  (await callJson<{ versions: VersionEntry[] }>(`${ROUTES}/history`, signal ? { signal } : {})).versions;

export const readVersion = (version: string, signal?: AbortSignal) =>
  callJson<RecordedVersion>(`${ROUTES}/history/${encodeURIComponent(version)}`, signal ? { signal } : {});

export const readAudit = async (before?: number, signal?: AbortSignal) => {
  const query = before === undefined ? "" : `?before=${before}`;
  return (await callJson<{ entries: AuditEntry[] }>(`/admin/api/audit${query}`, signal ? { signal } : {})).entries;
};
