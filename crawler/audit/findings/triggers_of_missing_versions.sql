-- severity: medium
-- title: Triggers of versions and aliases that don't exist
-- tables: fc_triggers
-- resource: function, trigger_name
-- lookups: fc_aliases, fc_function_versions
-- reason: The trigger names a version or an alias that the function doesn't have, so it starts nothing.
-- remedy: Point the trigger at an alias that exists, or delete it.
WITH whole AS (
  SELECT account_id, region_id FROM _scopes
  WHERE "table" IN ('fc_aliases', 'fc_function_versions') AND written AND status = 'complete'
  GROUP BY ALL HAVING count(*) = 2
), qualifiers AS (
  SELECT account_id, region_id, function_name, alias_name AS qualifier FROM fc_aliases
  UNION ALL
  SELECT account_id, region_id, function_name, version_id FROM fc_function_versions
)
SELECT account_id, region_id, function_name AS function, trigger_name, trigger_type, qualifier
FROM fc_triggers SEMI JOIN whole USING (account_id, region_id)
     ANTI JOIN qualifiers USING (account_id, region_id, function_name, qualifier)
WHERE coalesce(qualifier, '') NOT IN ('', 'LATEST')
ORDER BY ALL
