-- severity: low
-- title: Event-driven functions without a configuration for asynchronous calls
-- tables: fc_triggers
-- lookups: fc_async_invoke_configs
-- reason: Timers, OSS, CDN and message topics call asynchronously. Without a configuration the defaults apply:
--   after three tries the event is lost without notice.
-- remedy: Add a configuration with a destination on failure, and with retries and a maximum age that fit the work.
WITH whole AS (
  SELECT account_id, region_id FROM _scopes
  WHERE "table" = 'fc_async_invoke_configs' AND written AND status = 'complete'
), configured AS (
  SELECT DISTINCT account_id, region_id, regexp_extract(function_arn, 'functions/([^/]+)', 1) AS function_name
  FROM fc_async_invoke_configs
)
SELECT account_id, region_id, function_name AS function,
       string_agg(DISTINCT trigger_type, ', ' ORDER BY trigger_type) AS triggers
FROM fc_triggers SEMI JOIN whole USING (account_id, region_id)
     ANTI JOIN configured USING (account_id, region_id, function_name)
WHERE trigger_type IN ('timer', 'oss', 'cdn_events', 'mns_topic')
GROUP BY ALL
ORDER BY ALL
