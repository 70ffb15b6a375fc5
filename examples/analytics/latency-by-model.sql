-- How long requests take, from their arrival to the end of the answer, in milliseconds.
--
-- One row for each model. Only requests that were served.
-- The last day.
SELECT
  blob3 AS model,
  sum(_sample_interval) AS requests,
  quantileExactWeighted(0.5)(double4, _sample_interval) AS p50_ms,
  quantileExactWeighted(0.95)(double4, _sample_interval) AS p95_ms,
  quantileExactWeighted(0.99)(double4, _sample_interval) AS p99_ms
FROM switchyard
WHERE timestamp > now() - INTERVAL '1' DAY AND blob8 = 'ok'
GROUP BY model
ORDER BY p95_ms DESC, model
