-- severity: medium
-- title: Custom domains that route to missing functions
-- tables: fc_custom_domains
-- resource: domain, path
-- lookups: fc_functions
-- reason: The path returns an error today. A user who creates a function with that name can answer under your
--   domain.
-- remedy: Remove the route, or point it at the right function.
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
