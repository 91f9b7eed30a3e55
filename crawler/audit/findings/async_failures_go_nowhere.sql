-- severity: low
-- title: Asynchronous calls without a destination for failures
-- tables: fc_async_invoke_configs, fc2_function_async_invoke_configs
-- resource: function, qualifier
-- reason: There is a configuration for asynchronous calls, but no destination for calls that fail after the last
--   retry. These events are lost without notice.
-- remedy: Set a destination on failure: a queue, a topic, or a function that stores the event.
SELECT account_id, region_id, regexp_extract(function_arn, 'functions/([^/]+)', 1) AS function,
       regexp_extract(function_arn, 'functions/[^/]+/(.+)$', 1) AS qualifier,
       max_async_retry_attempts AS retries, destination_config.on_success.destination AS on_success
FROM fc_async_invoke_configs
WHERE coalesce(destination_config.on_failure.destination, '') = ''
UNION ALL
SELECT account_id, region_id, service_name || '/' || function_name, qualifier,
       max_async_retry_attempts, destination_config.on_success.destination
FROM fc2_function_async_invoke_configs
WHERE coalesce(destination_config.on_failure.destination, '') = ''
ORDER BY ALL
