-- severity: info
-- title: Functions and services without a role
-- tables: fc_functions, fc2_services
-- reason: Without a role a function gets no temporary credentials. If it calls the cloud, it must use its own keys,
--   which aren't rotated automatically.
-- remedy: Give it a role with the permissions that it needs, or confirm that it makes no calls.
SELECT account_id, region_id, function_name AS function_or_service, runtime
FROM fc_functions WHERE coalesce(role, '') = ''
UNION ALL
SELECT account_id, region_id, service_name || '/', NULL
FROM fc2_services WHERE coalesce(role, '') = ''
ORDER BY ALL
