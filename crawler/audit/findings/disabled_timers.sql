-- severity: info
-- title: Disabled timers
-- tables: fc_triggers, fc2_triggers
-- resource: function, trigger_name
-- reason: Scheduled work isn't done, on purpose or by mistake. Backups and clean-ups can stop unnoticed this way.
-- remedy: Enable the timer, or delete it together with the function that only it calls.
SELECT account_id, region_id, function_name AS function, trigger_name, trigger_config.cron_expression AS cron,
       last_modified_time AS last_modified
FROM fc_triggers WHERE lower(trigger_type) = 'timer' AND trigger_config."enable" = false
UNION ALL
SELECT account_id, region_id, service_name || '/' || function_name, trigger_name, trigger_config.cron_expression,
       last_modified_time
FROM fc2_triggers WHERE lower(trigger_type) = 'timer' AND trigger_config."enable" = false
ORDER BY ALL
