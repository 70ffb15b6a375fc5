// The view "Routes".

import type { Location } from "../location";

export function RoutesView(_: { location: Location }) {
  return <h1>Routes</h1>;
}
