-- severity: info
-- title: Functions and services without tracing
-- tables: fc_functions, fc2_services
-- reason: Without tracing a slow or failing call can't be followed across functions.
-- remedy: Enable tracing for functions that other services depend on.
SELECT account_id, region_id, function_name AS function_or_service, runtime
FROM fc_functions WHERE coalesce(tracing_config."type", '') = ''
UNION ALL
SELECT account_id, region_id, service_name || '/', NULL
FROM fc2_services WHERE coalesce(tracing_config."type", '') = ''
ORDER BY ALL
