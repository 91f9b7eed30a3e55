-- severity: low
-- title: Event-driven functions of 2.0 without a configuration for asynchronous calls
-- tables: fc2_triggers
-- lookups: fc2_function_async_invoke_configs
-- reason: Timers, OSS, CDN and message topics call asynchronously. Without a configuration the defaults apply:
--   after three tries the event is lost without notice.
-- remedy: Add a configuration with a destination on failure, and with retries and a maximum age that fit the work.
WITH whole AS (
  SELECT account_id, region_id FROM _scopes
  WHERE "table" = 'fc2_function_async_invoke_configs' AND written AND status = 'complete'
), configured AS (
  SELECT DISTINCT account_id, region_id, service_name, function_name FROM fc2_function_async_invoke_configs
)
SELECT account_id, region_id, service_name || '/' || function_name AS function,
       string_agg(DISTINCT trigger_type, ', ' ORDER BY trigger_type) AS triggers
FROM fc2_triggers SEMI JOIN whole USING (account_id, region_id)
     ANTI JOIN configured USING (account_id, region_id, service_name, function_name)
WHERE trigger_type IN ('timer', 'oss', 'cdn_events', 'mns_topic')
GROUP BY ALL
ORDER BY ALL
