-- severity: medium
-- title: Custom domains of 2.0 that lead to functions which aren't there
-- tables: fc2_custom_domains
-- lookups: fc2_functions
-- reason: The path answers with an error today. Whoever may create a function with that name tomorrow answers in
--   your domain's name.
-- remedy: Take the route out, or point it at the function that was meant.
WITH whole AS (
  SELECT account_id, region_id FROM _scopes WHERE "table" = 'fc2_functions' AND written AND status = 'complete'
), routes AS (
  SELECT account_id, region_id, domain_name AS domain, route.path AS path,
         route.service_name AS service_name, route.function_name AS function_name
  FROM fc2_custom_domains, unnest(route_config.routes) AS u(route)
)
SELECT account_id, region_id, domain, path, service_name || '/' || function_name AS function
FROM routes SEMI JOIN whole USING (account_id, region_id)
     ANTI JOIN fc2_functions USING (account_id, region_id, service_name, function_name)
WHERE coalesce(service_name, '') <> '' AND coalesce(function_name, '') <> ''
ORDER BY ALL
