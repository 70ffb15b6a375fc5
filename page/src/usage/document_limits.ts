// The limits that the routes document has. `GET /admin/api/usage` leaves those out of which nothing
// is spent, and an operator wants to see them too.
//
// Pure.

import { count, digits } from "../format.ts";
import type { LimitUsage } from "./limit_words.ts";

interface DocumentLimit {
  requests?: number;
  tokens?: number;
  usd?: number;
  concurrent?: number;
  per?: string;
  by?: string;
  models?: string[];
}

export interface LimitedDocument {
  clients?: Record<string, { limits?: DocumentLimit[] }>;
  settings?: { limits?: DocumentLimit[] };
}

export interface NamedLimit {
  client: string | null;
  /** The name of its meter, without a value of `by`. */
  meter: string;
  text: string;
}

export function limitsOf({ clients = {}, settings = {} }: LimitedDocument): NamedLimit[] {
  const owners: [string | null, DocumentLimit[]][] = [
    ...Object.entries(clients).map(([client, { limits = [] }]): [string, DocumentLimit[]] => [client, limits]),
    [null, settings.limits ?? []],
  ];
  return owners.flatMap(([client, limits]) => limits.map((limit) => ({ client, meter: meterOf(limit), text: textOf(limit) })));
}

/** Those that have no meter: a meter begins with the first request that counts. */
export function unspentOf(limits: NamedLimit[], used: LimitUsage[]): NamedLimit[] {
  return limits.filter(
    ({ client, meter }) => !used.some((other) => other.client === client && (other.meter === meter || other.meter.startsWith(`${meter}=`))),
  );
}

function unitOf({ requests, tokens, usd, concurrent }: DocumentLimit): [string, number] {
  if (requests !== undefined) return ["requests", requests];
  if (tokens !== undefined) return ["tokens", tokens];
  return usd !== undefined ? ["usd", usd] : ["concurrent", concurrent ?? 0];
}

function meterOf(limit: DocumentLimit): string {
  const parts = [unitOf(limit)[0], limit.per, limit.by, limit.models?.join(",")];
  return parts.filter((part) => part !== undefined).join("/");
}

function textOf(limit: DocumentLimit): string {
  const [unit, amount] = unitOf(limit);
  const what = unit === "usd" ? `$${digits(amount, 12)}` : `${count(amount)} ${unit === "concurrent" ? "requests at the same time" : unit}`;
  const time = limit.per === undefined ? "" : ` ${limit.per === "hour" ? "an" : "a"} ${limit.per}`;
  const models = limit.models ? ` of ${limit.models.join(", ")}` : "";
  return `${what}${time}${limit.by ? ` for each ${limit.by}` : ""}${models}`;
}
