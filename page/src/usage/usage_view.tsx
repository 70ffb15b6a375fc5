// The view "Usage".

import type { Location } from "../location";

export function UsageView(_: { location: Location }) {
  return <h1>Usage</h1>;
}
