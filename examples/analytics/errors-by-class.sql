-- What fails, and how much of it clients notice.
--
-- One row for each class of failure and model, as the first failure of a request. `hidden` counts
-- requests that were served all the same, `seen` those whose client got an error. Which deployment
-- failed is in the trail (blob9) and in `switchyard_attempts_total`.
-- The last day.
SELECT
  blob14 AS class,
  blob3 AS model,
  sum(_sample_interval) AS requests,
  sum(if(blob8 = 'ok', _sample_interval, 0)) AS hidden,
  sum(if(blob8 != 'ok' AND blob8 != 'client_left', _sample_interval, 0)) AS seen
FROM switchyard
WHERE timestamp > now() - INTERVAL '1' DAY AND blob14 != ''
GROUP BY class, model
ORDER BY requests DESC, class, model
