// What somebody has to know before anything else: that the gateway or a part of it does not answer,
// and that its document is not the one that it should be.

import { Moment } from "../moment";
import { linkTo } from "../location";
import { problemText } from "../api_problem";
import type { Gateway } from "./gateway_watch";

export function Banners({ gateway }: { gateway: Gateway }) {
  const { health, healthError, metricsError, routes, readAt, ahead } = gateway;
  const refused = routes?.trouble?.issues?.length ?? 0;
  return (
    <div class="now-banners">
      {healthError && (
        <p role="alert" class="problem">
          {problemText(healthError)} {readAt !== undefined && <>What is shown was read <Moment at={readAt} />. It is tried again every few seconds.</>}
        </p>
      )}
      {health && !healthError && (health.trouble !== null || health.object === null) && (
        <p role="alert" class="problem">
          {health.trouble === null
            ? "There is no binding HEALTH, so isolates do not share what they know. What is shown is the view of one isolate."
            : `The Durable Object of this region does not answer: ${health.trouble}. What is shown is the view of one isolate; the gateway goes on with what each isolate knows.`}
        </p>
      )}
      {metricsError && !healthError && (
        <p role="status" class="warning">
          There are no current counters: {problemText(metricsError)}
        </p>
      )}
      {routes?.trouble && (
        <p role="alert" class="problem">
          {routes.trouble.kind === "gone"
            ? "The routes document is gone from KV. "
            : `The routes document in KV is refused, with ${refused === 1 ? "one problem" : `${refused} problems`}. `}
          {routes.source === "compiled_in" ? "The one that was compiled in serves." : "The last good one serves."}{" "}
          <a href={linkTo("routes")}>See what is wrong</a>
        </p>
      )}
      {routes?.canary && (
        <p role="status" class="warning">
          A canary of the routes document serves {routes.canary.share} % of the requests; it is decided <Moment at={routes.canary.until} ahead={ahead} />.{" "}
          <a href={linkTo("routes")}>Watch it</a>
        </p>
      )}
      {routes && routes.warnings.length > 0 && (
        <p role="status" class="warning">
          The routes document has {routes.warnings.length === 1 ? "a warning" : `${routes.warnings.length} warnings`}: {routes.warnings[0]!.path}.{" "}
          <a href={linkTo("routes")}>Read {routes.warnings.length === 1 ? "it" : "them"}</a>
        </p>
      )}
    </div>
  );
}
