// The view "Requests": recent requests that failed, or in which an attempt failed, and one of them
// with all that is recorded of it.

import type { Location } from "../location";
import { RecordDetail } from "./record_detail";
import { filtersOf } from "./record_filters.ts";
import { RecordList } from "./record_list";

export function RequestsView({ location: { argument, query } }: { location: Location }) {
  const filters = filtersOf(query);
  return argument === undefined ? <RecordList filters={filters} /> : <RecordDetail key={argument} id={argument} filters={filters} />;
}
