-- The slowest deployments, by the time that they take for an answer, in milliseconds.
--
-- One row for each deployment and upstream model, at most 20. Only requests with one attempt: of
-- others, the time is that of several deployments. Only answers in one piece: of a stream, the time
-- is that to its first token, which first-token.sql shows.
-- The last day.
SELECT
  blob4 AS deployment,
  blob6 AS upstream_model,
  sum(_sample_interval) AS requests,
  quantileExactWeighted(0.5)(double6, _sample_interval) AS p50_ms,
  quantileExactWeighted(0.95)(double6, _sample_interval) AS p95_ms,
  round(sum(_sample_interval * double6) / sum(_sample_interval * double11), 2) AS ms_per_token
FROM switchyard
WHERE timestamp > now() - INTERVAL '1' DAY AND blob8 = 'ok' AND blob15 = 'whole' AND double2 = 1 AND double11 > 0
GROUP BY deployment, upstream_model
ORDER BY p95_ms DESC, deployment, upstream_model
LIMIT 20
