// The view "Now": what the gateway does at this moment. `#/now/NAME` is one deployment.

import { useEffect, useState } from "preact/hooks";
import type { Location } from "../location";
import { Banners } from "./banners";
import { DeploymentPage } from "./deployment_page";
import { useGateway } from "./gateway_watch";
import { Overview } from "./overview";

/** How long an announcement stands there. */
const SHOWN_MS = 10_000;

export function NowView({ location }: { location: Location }) {
  const gateway = useGateway();
  const [said, announce] = useState("");
  const { fresh } = gateway;
  useEffect(() => {
    if (fresh.length > 0) announce(fresh.map(({ name, state, why }) => `${name}: ${state}${why ? `, ${why}` : ""}.`).join(" "));
  }, [fresh]);
  useEffect(() => {
    const timer = setTimeout(() => announce(""), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const name = location.argument;
  return (
    <div class="now">
      <p role="status" class="now-said">{said}</p>
      <Banners gateway={gateway} />
      {name === undefined ? <Overview gateway={gateway} announce={announce} /> : <DeploymentPage key={name} name={name} gateway={gateway} announce={announce} />}
    </div>
  );
}
