// Which of the recent requests are shown. The filters stand in the address, so that a list can be
// passed on.
//
// Pure.

import { isErrorClass } from "./record_words.ts";
import { isFailure, type RequestRecord } from "./request_record.ts";

/** The names of the filters, as they stand in the address. An empty text does not filter. */
export const FILTERS = ["result", "model", "deployment", "client", "class", "status", "text"] as const;
export type FilterName = (typeof FILTERS)[number];
export type Filters = Record<FilterName, string>;

export function filtersOf(query: URLSearchParams): Filters {
  return Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""])) as Filters;
}

/** The query of an address: only the filters that are set. */
export function queryOf(filters: Filters): Record<string, string> {
  return Object.fromEntries(FILTERS.map((name) => [name, filters[name]]).filter(([, value]) => value !== ""));
}

/** The classes and codes of a request: of its attempts, and of its end. */
function classesOf(record: RequestRecord): string[] {
  const outcomes = [...record.attempts.map(({ outcome }) => outcome).filter(isErrorClass), record.outcome];
  return [...new Set(outcomes)].filter((outcome) => outcome !== "ok");
}

export function matches(record: RequestRecord, filters: Filters): boolean {
  const isOf = (wanted: string, ...values: (string | undefined)[]) => wanted === "" || values.includes(wanted);
  return (
    isOf(filters.result, isFailure(record) ? "failed" : "served") &&
    isOf(filters.model, record.model) &&
    isOf(filters.deployment, ...record.attempts.map(({ deployment }) => deployment)) &&
    isOf(filters.client, record.client) &&
    isOf(filters.class, ...classesOf(record)) &&
    isOf(filters.status, String(record.status)) &&
    filters.text.toLowerCase().split(/\s+/).every((word) => textOf(record).includes(word))
  );
}

/** What may be chosen for a filter: the values of these records, and the one that is set. */
export function choicesFor(name: FilterName, records: RequestRecord[], chosen: string): string[] {
  const values = new Set(chosen === "" ? [] : [chosen]);
  for (const record of records) for (const value of valuesOf(name, record)) if (value) values.add(value);
  return [...values].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

function valuesOf(name: FilterName, record: RequestRecord): (string | undefined)[] {
  switch (name) {
    case "model": return [record.model];
    case "deployment": return record.attempts.map(({ deployment }) => deployment);
    case "client": return [record.client];
    case "class": return classesOf(record);
    case "status": return [String(record.status)];
    default: return [];
  }
}

/** The texts of a record by which it is found: names, reasons and every id. */
function textOf(record: RequestRecord): string {
  const attempts = record.attempts.flatMap(({ deployment, outcome, reason }) => [deployment, outcome, reason]);
  const labels = Object.entries(record.labels ?? {}).flat();
  const ids = [record.request_id, record.trace_id, record.cf_ray, record.cf_aig_log_id, record.upstream_request_id, record.key];
  const names = [record.model, record.client, record.operation, record.upstream_model, record.outcome, record.reason];
  const place = [record.routes, record.colo, record.country];
  return [...ids, ...names, ...attempts, ...labels, ...place].filter(Boolean).join(" ").toLowerCase();
}

/**
 * The id of a request in what somebody has pasted: alone, in a header line, or as the trace id that
 * the gateway gave the request.
 */
export function requestIdIn(text: string): string | undefined {
  const id = /\breq_[0-9a-z]+\b/i.exec(text)?.[0];
  if (id) return id.toLowerCase();
  const trace = /(?<![0-9a-z])[0-9a-f]{32}(?![0-9a-z])/i.exec(text)?.[0];
  return trace && `req_${trace.toLowerCase()}`;
}
