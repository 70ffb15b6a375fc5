-- What each deployment cost, in US dollars.
--
-- One row for each deployment and upstream model. `usd_per_million_tokens` is over input and output
-- together; 0 if there are no tokens. What failed attempts cost is not in it: the metrics have it.
-- The last 30 days.
SELECT
  blob4 AS deployment,
  blob6 AS upstream_model,
  sum(_sample_interval) AS requests,
  sum(_sample_interval * double16) / 1000000 AS usd,
  round(
    if(
      sum(_sample_interval * (double9 + double11)) > 0,
      sum(_sample_interval * double16) / sum(_sample_interval * (double9 + double11)),
      0
    ),
    4
  ) AS usd_per_million_tokens
FROM switchyard
WHERE timestamp > now() - INTERVAL '30' DAY AND blob4 != ''
GROUP BY deployment, upstream_model
ORDER BY usd DESC, deployment, upstream_model
