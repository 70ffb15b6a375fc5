-- Traffic over time: requests, failures and tokens.
--
-- One row for each hour (UTC). `failed` are the answers with status 500 or higher, `refused` those
-- with status 400 to 499, also of clients without a valid key.
-- The last day.
SELECT
  toStartOfInterval(timestamp, INTERVAL '1' HOUR) AS hour,
  sum(_sample_interval) AS requests,
  sum(if(double1 >= 500, _sample_interval, 0)) AS failed,
  sum(if(double1 >= 400 AND double1 < 500, _sample_interval, 0)) AS refused,
  sum(_sample_interval * (double9 + double11)) AS tokens
FROM switchyard
WHERE timestamp > now() - INTERVAL '1' DAY
GROUP BY hour
ORDER BY hour
