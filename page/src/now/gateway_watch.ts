// Reads the gateway while the view "Now" is open: its health every five seconds, its counters every
// ten, each with one call, and what it says of its document every fifteen.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type ApiError, call, callJson } from "../admin_api";
import { readRouteGraph, type RouteGraph } from "../graph/route_graph.ts";
import { usePolled } from "../polled";
import { readDocument, readStatus, type RoutesStatus } from "../routes/routes_api";
import { byUrgency, deploymentState, type DeploymentState, type Health } from "./deployment_state.ts";
import { readMetrics } from "./metrics_text.ts";
import { StateChanges, type StateChange } from "./state_changes.ts";
import type { Traffic } from "./traffic.ts";
import { TrafficHistory } from "./traffic_history.ts";

export interface Gateway {
  health: Health | undefined;
  /** What needs somebody first. */
  states: DeploymentState[];
  /** How far the gateway's clock is ahead of this browser's, in milliseconds. */
  ahead: number;
  routes: RoutesStatus | undefined;
  graph: RouteGraph | undefined;
  traffic: Traffic | undefined;
  history: TrafficHistory;
  changes: StateChanges;
  /** The changes that the latest reading brought. */
  fresh: StateChange[];
  healthError: ApiError | undefined;
  metricsError: ApiError | undefined;
  /** When its health was read, by this browser's clock. */
  readAt: number | undefined;
  refresh: () => void;
}

const HEALTH_MS = 5_000;
/** Counters reach the hub every ten seconds: more readings show nothing more. */
const METRICS_MS = 10_000;
const ROUTES_MS = 15_000;

// They outlive the view, so that a look at another one does not lose what was seen.
const history = new TrafficHistory();
const changes = new StateChanges();

export function useGateway(): Gateway {
  const health = usePolled("health", HEALTH_MS, (signal) => callJson<Health>("/admin/api/health", { signal }));
  const metrics = usePolled("metrics", METRICS_MS, async (signal) => {
    history.add(Date.now(), readMetrics(await (await call("/admin/metrics", { signal })).text()));
    return history.current;
  });
  const routes = usePolled("routes", ROUTES_MS, readStatus);
  const graph = useGraph(routes.value?.version, routes.readAt);

  const noted = useRef<{ health: Health; fresh: StateChange[] }>(undefined);
  const states = useMemo(() => {
    if (!health.value) return [];
    const { now, deployments } = health.value;
    const missing = new Map(routes.value?.disabled.map(({ deployment, variable }) => [deployment, variable]));
    return byUrgency(deployments.map((entry) => deploymentState(entry, now, missing.get(entry.deployment))));
  }, [health.value, routes.value]);
  // Variables that are missing come with another call: without them, a state could be said too
  // early.
  if (health.value && routes.value && noted.current?.health !== health.value) {
    noted.current = { health: health.value, fresh: changes.note(health.readAt ?? Date.now(), states) };
  }
  return {
    health: health.value,
    states,
    ahead: health.value && health.readAt ? health.value.now - health.readAt : 0,
    routes: routes.value,
    graph,
    traffic: metrics.value,
    history,
    changes,
    fresh: noted.current?.fresh ?? [],
    healthError: health.error,
    metricsError: metrics.error,
    readAt: health.readAt,
    refresh: health.refresh,
  };
}

/**
 * The graph of the document that serves: read at once, and again when its version is another one.
 * `asked` changes when another attempt is due.
 */
function useGraph(version: string | undefined, asked: number | undefined): RouteGraph | undefined {
  const [loaded, setLoaded] = useState<{ version: string | undefined; graph: RouteGraph | undefined }>();
  const isUnderWay = useRef(false);
  useEffect(() => {
    if (isUnderWay.current || (loaded && (version === undefined || loaded.version === version))) return;
    isUnderWay.current = true;
    readDocument()
      .then(({ version, text }) => setLoaded({ version, graph: readRouteGraph(text) }))
      // The next reading of the status tries again.
      .catch(() => {})
      .finally(() => (isUnderWay.current = false));
  }, [version, asked]);
  return loaded?.graph;
}
