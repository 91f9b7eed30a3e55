-- severity: medium
-- title: Functions and services without logging
-- tables: fc_functions, fc2_services
-- reason: Without a log project the function's output is lost, so there are no logs to read after an incident.
-- remedy: Set a project and a Logstore in the log configuration, with a retention time that fits your rules.
SELECT account_id, region_id, function_name AS function_or_service, runtime, last_modified_time AS last_modified
FROM fc_functions WHERE coalesce(log_config.project, '') = '' OR coalesce(log_config.logstore, '') = ''
UNION ALL
SELECT account_id, region_id, service_name || '/', NULL, last_modified_time
FROM fc2_services WHERE coalesce(log_config.project, '') = '' OR coalesce(log_config.logstore, '') = ''
ORDER BY ALL
