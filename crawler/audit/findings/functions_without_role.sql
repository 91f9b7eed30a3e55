-- severity: info
-- title: Functions and services without a role
-- tables: fc_functions, fc2_services
-- reason: Without a role a function gets no temporary credentials. If it calls the cloud all the same, it does so
--   with keys of its own that nobody renews.
-- remedy: Give it a role with what it needs, or confirm that it calls nothing.
SELECT account_id, region_id, function_name AS function_or_service, runtime
FROM fc_functions WHERE coalesce(role, '') = ''
UNION ALL
SELECT account_id, region_id, service_name || '/', NULL
FROM fc2_services WHERE coalesce(role, '') = ''
ORDER BY ALL
