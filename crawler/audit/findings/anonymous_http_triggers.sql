-- severity: medium
-- title: Unauthenticated HTTP triggers (public URL disabled)
-- tables: fc_triggers, fc2_triggers
-- resource: function, trigger_name
-- reason: Callers aren't authenticated, and only the disabled public URL keeps the internet out. Custom domains and
--   addresses inside the network still lead to the function.
-- remedy: Set authType to function or jwt. If that isn't possible, authenticate callers in the function and
--   restrict it to your VPCs.
SELECT account_id, region_id, function_name AS function, trigger_name, qualifier,
       array_to_string(trigger_config.methods, ' ') AS methods
FROM fc_triggers
WHERE lower(trigger_type) = 'http' AND lower(trim(trigger_config.auth_type)) = 'anonymous'
  AND trigger_config.disable_url_internet
UNION ALL
SELECT account_id, region_id, service_name || '/' || function_name, trigger_name, qualifier,
       array_to_string(trigger_config.methods, ' ')
FROM fc2_triggers
WHERE lower(trigger_type) = 'http' AND lower(trim(trigger_config.auth_type)) = 'anonymous'
  AND trigger_config.disable_url_internet
ORDER BY ALL
