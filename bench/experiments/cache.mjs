// What an answer that is kept saves: the same request with and without `cache`.

import { gateway, sampleRoutes } from "../candidates.mjs";
import { json } from "./answers.mjs";

const KEPT_WITHIN_MS = 5_000;

/** The sample document, whose node `chat` keeps answers. */
const keeping = () => {
  const routes = sampleRoutes();
  const { chat } = routes.models;
  return { ...routes, models: { ...routes.models, chat: { ...chat, cache: { ttl: 86_400 } } } };
};

const statusOf = (response) => response.headers.get("x-switchyard-cache");

/** Sends the request until its answer is kept, which happens in the background. */
async function untilKept({ url, headers, body }) {
  const until = Date.now() + KEPT_WITHIN_MS;
  for (;;) {
    const response = await fetch(url, { method: "POST", headers, body });
    await response.arrayBuffer();
    if (statusOf(response) === "HIT") return;
    if (Date.now() > until) throw new Error(`no answer was kept within ${KEPT_WITHIN_MS} ms: ${statusOf(response)}`);
  }
}

const without = gateway({ name: "no-cache", title: "without a cache" });

const kept = {
  ...gateway({ name: "kept", title: "answers that were kept", routes: keeping, cache: true }),
  recognises: (response) => statusOf(response) === "HIT",
  prepare: untilKept,
};

/**
 * Each request gets a new answer, which is kept. It costs less than a miss, which looks for an answer,
 * too.
 */
const refreshed = {
  ...gateway({ name: "refreshed", title: "new answers that are kept", routes: keeping, cache: true }),
  recognises: (response) => statusOf(response) === "MISS",
  requestHeaders: { "cache-control": "no-cache" },
};

export const cache = json(8, [without, kept, refreshed], {
  name: "cache-json",
  title: "With and without a cache: JSON of 1 KB, 8 connections",
  columns: ["cpuUs", "perSecond", "attempts", "p50Ms", "p99Ms"],
  references: ["no-cache"],
});
