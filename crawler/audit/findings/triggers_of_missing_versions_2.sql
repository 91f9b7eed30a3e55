-- severity: medium
-- title: Triggers of 2.0 whose version or alias doesn't exist
-- tables: fc2_triggers
-- resource: function, trigger_name
-- lookups: fc2_aliases, fc2_service_versions
-- reason: The trigger names a version or an alias that the service doesn't have, so it starts nothing.
-- remedy: Point the trigger at an alias that exists, or delete it.
WITH whole AS (
  SELECT account_id, region_id FROM _scopes
  WHERE "table" IN ('fc2_aliases', 'fc2_service_versions') AND written AND status = 'complete'
  GROUP BY ALL HAVING count(*) = 2
), qualifiers AS (
  SELECT account_id, region_id, service_name, alias_name AS qualifier FROM fc2_aliases
  UNION ALL
  SELECT account_id, region_id, service_name, version_id FROM fc2_service_versions
)
SELECT account_id, region_id, service_name || '/' || function_name AS function, trigger_name, trigger_type, qualifier
FROM fc2_triggers SEMI JOIN whole USING (account_id, region_id)
     ANTI JOIN qualifiers USING (account_id, region_id, service_name, qualifier)
WHERE coalesce(qualifier, '') NOT IN ('', 'LATEST')
ORDER BY ALL
