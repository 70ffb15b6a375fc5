// The answer of POST /admin/api/explain (docs/api.md#explain-a-request).

export interface Explanation {
  now: number;
  routes: string;
  client: string | null;
  key: string | null;
  operation: string | null;
  rule: number | null;
  entry: string | null;
  facts: Facts | null;
  cache?: { reads: boolean; keeps_seconds: number; bypass: string | null };
  course: Course | null;
  calls: ExplainedCall[];
  answer: "models" | "healthz" | "admin" | null;
  error: { status: number; code: string; message: string } | null;
}

export interface Facts {
  model: string;
  is_streamed: boolean;
  is_replayable: boolean;
  input_tokens: number;
  max_output_tokens: number | null;
  needs: string[];
  patience_ms: number | null;
  owner: string | null;
}

export interface Course {
  max_attempts: number;
  deadline_ms: number;
  attempts: PlannedAttempt[];
  end: "exhausted" | "none_eligible" | "deadline_exceeded";
  tree: PlannedTarget[];
}

export interface PhaseLimit {
  ms: number | null;
  from: string;
}

export interface PlannedAttempt {
  number: number;
  deployment: string;
  path: string[];
  by: "order" | "edge" | "retry" | "last_resort";
  is_probe: boolean;
  wait_ms: number;
  commit: string;
  hedge_after_ms: number | null;
  limits: { headers: PhaseLimit; first_token: PhaseLimit; held_pause: PhaseLimit; flow_pause: PhaseLimit };
}

export interface PlannedTarget {
  to: string;
  place?: number;
  edge?: string;
  because?: PlaceReason[];
  excluded?: { kind: string; why: string; until?: number };
  attempts?: number[];
  node?: { strategy: string; is_sticky: boolean; targets: PlannedTarget[] };
}

export type PlaceReason = "case" | "faster_of_two" | "leased" | "owner" | { behind: number } | { by: Measure };

export type Measure =
  | "turn"
  | "chance"
  | { priority: number }
  | { weight: { weight: number; share: number } }
  | { wait_ms: number | null }
  | { in_flight: number | null }
  | { price_micros: number | null }
  | { distance_km: number | null };

export interface ExplainedCall {
  deployment: string;
  method: string;
  url: string;
  headers_set: string[];
  headers_passed: string[];
  body: { field: string; is_dropped: boolean; value?: unknown }[];
}
