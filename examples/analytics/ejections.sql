-- Which deployments were ejected, when, and after which failures.
--
-- One row for each hour and ejected deployment. If one request ejected several deployments, they stand
-- in one row, separated by commas. Each isolate that ejects a deployment by itself counts.
-- The last 7 days.
SELECT
  toStartOfInterval(timestamp, INTERVAL '1' HOUR) AS hour,
  blob16 AS ejected,
  sum(_sample_interval) AS ejections,
  min(timestamp) AS first_at,
  argMax(blob14, timestamp) AS latest_class
FROM switchyard
WHERE timestamp > now() - INTERVAL '7' DAY AND blob16 != ''
GROUP BY hour, ejected
ORDER BY hour, ejections DESC, ejected
