-- severity: medium
-- title: Custom domains that lead to functions which aren't there
-- tables: fc_custom_domains
-- lookups: fc_functions
-- reason: The path answers with an error today. Whoever may create a function with that name tomorrow answers in
--   your domain's name.
-- remedy: Take the route out, or point it at the function that was meant.
WITH whole AS (
  SELECT account_id, region_id FROM _scopes WHERE "table" = 'fc_functions' AND written AND status = 'complete'
), routes AS (
  SELECT account_id, region_id, domain_name AS domain, route.path AS path, route.function_name AS function_name
  FROM fc_custom_domains, unnest(route_config.routes) AS u(route)
  WHERE coalesce(api_version, '') IN ('', '2023-03-30')
)
SELECT account_id, region_id, domain, path, function_name AS function
FROM routes SEMI JOIN whole USING (account_id, region_id)
     ANTI JOIN fc_functions USING (account_id, region_id, function_name)
WHERE coalesce(function_name, '') <> ''
ORDER BY ALL
