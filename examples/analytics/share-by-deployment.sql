-- Which deployments serve each model, and how much of it.
--
-- One row for each model and deployment. A request counts for the deployment that served it, or else
-- for the one that was tried last. Requests that reached no deployment are left out.
-- The share of a deployment is its `requests`, divided by the sum of this column for the model.
-- The last day.
SELECT
  blob3 AS model,
  blob4 AS deployment,
  sum(_sample_interval) AS requests,
  sum(if(blob8 = 'ok', _sample_interval, 0)) AS served,
  sum(_sample_interval * (double9 + double11)) AS tokens
FROM switchyard
WHERE timestamp > now() - INTERVAL '1' DAY AND blob4 != ''
GROUP BY model, deployment
ORDER BY model, requests DESC, deployment
