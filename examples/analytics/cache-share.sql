-- How much of the input the providers had in their prompt caches.
--
-- One row for each model and deployment. `share` is the part of the input tokens, 0 to 1.
-- The last 7 days.
SELECT
  blob3 AS model,
  blob4 AS deployment,
  sum(_sample_interval * double9) AS input_tokens,
  sum(_sample_interval * double10) AS cached_tokens,
  round(sum(_sample_interval * double10) / sum(_sample_interval * double9), 4) AS share
FROM switchyard
WHERE timestamp > now() - INTERVAL '7' DAY AND double9 > 0
GROUP BY model, deployment
ORDER BY share, model, deployment
