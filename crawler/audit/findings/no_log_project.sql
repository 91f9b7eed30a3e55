-- severity: medium
-- title: Functions and services whose logs are kept nowhere
-- tables: fc_functions, fc2_services
-- reason: Without a log project what the function prints is lost: after an incident there is nothing to look at.
-- remedy: Name a project and a Logstore in its log configuration, and a time to keep them that fits your rules.
SELECT account_id, region_id, function_name AS function_or_service, runtime, last_modified_time AS last_modified
FROM fc_functions WHERE coalesce(log_config.project, '') = '' OR coalesce(log_config.logstore, '') = ''
UNION ALL
SELECT account_id, region_id, service_name || '/', NULL, last_modified_time
FROM fc2_services WHERE coalesce(log_config.project, '') = '' OR coalesce(log_config.logstore, '') = ''
ORDER BY ALL
