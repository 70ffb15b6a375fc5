-- How long deployments take to the first token of a stream, in milliseconds.
--
-- One row for each model and deployment. The time of failed attempts before is not included. Only
-- streams whose commit point is the first token have this time.
-- The last day.
SELECT
  blob3 AS model,
  blob4 AS deployment,
  sum(_sample_interval) AS streams,
  quantileExactWeighted(0.5)(double5, _sample_interval) AS p50_ms,
  quantileExactWeighted(0.95)(double5, _sample_interval) AS p95_ms,
  quantileExactWeighted(0.99)(double5, _sample_interval) AS p99_ms
FROM switchyard
WHERE timestamp > now() - INTERVAL '1' DAY AND blob15 = 'stream' AND double5 > 0
GROUP BY model, deployment
ORDER BY model, p95_ms DESC, deployment
