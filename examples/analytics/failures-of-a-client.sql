-- The latest failed requests of one client, each with its trail.
--
-- Put the name of the client in the place of CLIENT. One row for each request that is stored: of
-- `represents` requests alike, Analytics Engine may have kept one.
-- The last day, at most 100.
SELECT
  timestamp,
  blob1 AS request_id,
  blob3 AS model,
  double1 AS status,
  blob8 AS outcome,
  blob9 AS trail,
  blob13 AS ai_gateway_log_id,
  _sample_interval AS represents
FROM switchyard
WHERE timestamp > now() - INTERVAL '1' DAY
  AND index1 = 'CLIENT'
  AND blob8 NOT IN ('ok', 'client_left')
ORDER BY timestamp DESC, request_id
LIMIT 100
