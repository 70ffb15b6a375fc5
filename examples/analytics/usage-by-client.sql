-- What each client used: requests, tokens and US dollars.
--
-- One row for each day (UTC) and client. `estimated` counts the requests whose usage is an estimate.
-- The last 90 days.
SELECT
  toStartOfInterval(timestamp, INTERVAL '1' DAY) AS day,
  blob2 AS client,
  sum(_sample_interval) AS requests,
  sum(_sample_interval * double9) AS input_tokens,
  sum(_sample_interval * double11) AS output_tokens,
  sum(_sample_interval * double16) / 1000000 AS usd,
  sum(_sample_interval * double17) AS estimated
FROM switchyard
WHERE timestamp > now() - INTERVAL '90' DAY
GROUP BY day, client
ORDER BY day, usd DESC, client
