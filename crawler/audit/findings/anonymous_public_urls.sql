-- severity: high
-- title: Functions that anyone on the internet may call
-- tables: fc_triggers, fc2_triggers
-- resource: function, trigger_name
-- reason: An HTTP trigger with authType anonymous doesn't authenticate callers, and its public URL is enabled.
--   Anyone who knows the URL can run the function, at your cost and with its role.
-- remedy: Set authType to function or jwt, or disable the public URL if only your own network calls the function.
SELECT account_id, region_id, function_name AS function, trigger_name, qualifier,
       array_to_string(trigger_config.methods, ' ') AS methods, http_trigger.url_internet AS address
FROM fc_triggers
WHERE lower(trigger_type) = 'http' AND lower(trim(trigger_config.auth_type)) = 'anonymous'
  AND trigger_config.disable_url_internet IS DISTINCT FROM true
UNION ALL
SELECT account_id, region_id, service_name || '/' || function_name, trigger_name, qualifier,
       array_to_string(trigger_config.methods, ' '), url_internet
FROM fc2_triggers
WHERE lower(trigger_type) = 'http' AND lower(trim(trigger_config.auth_type)) = 'anonymous'
  AND trigger_config.disable_url_internet IS DISTINCT FROM true
ORDER BY ALL
