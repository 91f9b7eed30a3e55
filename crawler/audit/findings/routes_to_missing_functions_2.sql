-- severity: medium
-- title: Custom domains of 2.0 that route to missing functions
-- tables: fc2_custom_domains
-- resource: domain, path
-- lookups: fc2_functions
-- reason: The path returns an error today. A user who creates a function with that name can answer under your
--   domain.
-- remedy: Remove the route, or point it at the right function.
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
