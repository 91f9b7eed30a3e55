-- severity: info
-- title: Functions created or changed in the 30 days before the crawl
-- tables: fc_functions, fc2_functions
-- reason: Recent changes are the first thing to check after an incident, and a change review should know them.
-- remedy: Compare with the announced changes.
WITH functions AS (
  SELECT account_id, region_id, function_name AS function, runtime, created_time, last_modified_time FROM fc_functions
  UNION ALL
  SELECT account_id, region_id, service_name || '/' || function_name, runtime, created_time, last_modified_time
  FROM fc2_functions
), crawl AS (
  SELECT min(started_at) AS began FROM _scopes
)
SELECT account_id, region_id, function, runtime, created_time AS created, last_modified_time AS last_modified,
       CASE WHEN created_time >= began - INTERVAL 30 DAY THEN 'created' ELSE 'changed' END AS what
FROM functions, crawl
WHERE greatest(created_time, last_modified_time) >= began - INTERVAL 30 DAY
ORDER BY last_modified DESC, account_id, region_id, function
