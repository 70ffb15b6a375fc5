// The view "Explain".

import type { Location } from "../location";

export function ExplainView(_: { location: Location }) {
  return <h1>Explain</h1>;
}
