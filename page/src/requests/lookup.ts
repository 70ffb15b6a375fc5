// Where a request is found that the gateway has no record of.
//
// Pure.

/** The query for Analytics Engine; `undefined` if the text is no id. */
export function lookupQuery(id: string): string | undefined {
  if (!/^[\w-]{1,128}$/.test(id)) return undefined;
  return [
    "SELECT timestamp, blob2 AS client, blob3 AS model, blob4 AS deployment, blob8 AS outcome, blob9 AS trail,",
    "  double1 AS status, double4 AS ms, double16 AS micro_usd, blob10 AS routes, _sample_interval AS represents",
    "FROM switchyard",
    `WHERE blob1 = '${id}' AND timestamp > now() - INTERVAL '90' DAY`,
  ].join("\n");
}
