-- severity: info
-- title: Timers that are switched off
-- tables: fc_triggers, fc2_triggers
-- reason: Work that should be done regularly isn't, by intention or by oversight: backups and clean-ups stop this
--   way without a sound.
-- remedy: Switch the timer on again, or delete it with the function that only it starts.
SELECT account_id, region_id, function_name AS function, trigger_name, trigger_config.cron_expression AS cron,
       last_modified_time AS last_modified
FROM fc_triggers WHERE lower(trigger_type) = 'timer' AND trigger_config."enable" = false
UNION ALL
SELECT account_id, region_id, service_name || '/' || function_name, trigger_name, trigger_config.cron_expression,
       last_modified_time
FROM fc2_triggers WHERE lower(trigger_type) = 'timer' AND trigger_config."enable" = false
ORDER BY ALL
