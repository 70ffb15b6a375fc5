// The view "Now".

import type { Location } from "../location";

export function NowView(_: { location: Location }) {
  return <h1>Now</h1>;
}
