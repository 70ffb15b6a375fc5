// The view "Requests".

import type { Location } from "../location";

export function RequestsView(_: { location: Location }) {
  return <h1>Requests</h1>;
}
