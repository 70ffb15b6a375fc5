-- How often another deployment than the first one serves, and how often that does not help.
--
-- One row for each model. `rate` is the part of the requests that another deployment served. `failed`
-- counts the requests that tried at least one deployment, and got no answer or not all of it.
-- The last day.
SELECT
  blob3 AS model,
  sum(_sample_interval) AS requests,
  sum(_sample_interval * double3) AS fallbacks,
  round(sum(_sample_interval * double3) / sum(_sample_interval), 4) AS rate,
  sum(if(blob8 != 'ok' AND blob8 != 'client_left', _sample_interval, 0)) AS failed,
  round(sum(_sample_interval * double2) / sum(_sample_interval), 4) AS attempts_per_request
FROM switchyard
WHERE timestamp > now() - INTERVAL '1' DAY AND double2 > 0
GROUP BY model
ORDER BY rate DESC, model
