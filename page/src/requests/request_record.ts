// The record of a request, as `GET /admin/api/requests` has it. docs/telemetry.md explains the
// members.

export interface RecordedUsage {
  input_tokens: number;
  output_tokens: number;
  estimated: boolean;
  cached_input_tokens?: number;
  reasoning_tokens?: number;
  images?: number;
  audio_ms?: number;
  characters?: number;
}

export interface RecordedAttempt {
  deployment: string;
  outcome: string;
  ms: number;
  /** From the arrival of the request to the dispatch. Isolates of older versions do not say it. */
  at_ms?: number;
  status?: number;
  reason?: string;
  drill?: boolean;
  /** What the provider charges for although the attempt does not serve. */
  usage?: RecordedUsage;
}

export interface RequestRecord {
  time: string;
  request_id: string;
  trace_id?: string;
  outcome: string;
  reason?: string;
  status: number;
  client?: string;
  labels?: Record<string, string>;
  key?: string;
  operation?: string;
  model?: string;
  stream: boolean;
  deployment?: string;
  provider?: string;
  upstream_model?: string;
  fallback: boolean;
  drill?: boolean;
  cache?: string;
  attempts: RecordedAttempt[];
  ms: { total: number; upstream: number; backoff: number; own: number; first_token?: number };
  usage: RecordedUsage;
  micro_usd?: number;
  routes: string;
  colo?: string;
  country?: string;
  cf_ray?: string;
  cf_aig_log_id?: string;
  upstream_request_id?: string;
}

/** The attempt that served the client, if one did. The last one may be a hedge that did not. */
export function servingAttempt(record: RequestRecord): RecordedAttempt | undefined {
  return record.attempts.find(({ outcome }) => outcome === "ok");
}

/** Whether the client noticed that something was wrong. */
export function isFailure(record: RequestRecord): boolean {
  return record.outcome !== "ok";
}
