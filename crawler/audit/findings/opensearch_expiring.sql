-- severity: medium
-- title: OpenSearch applications that expire within 60 days
-- tables: opensearch_app_groups
-- reason: A subscription that isn't renewed is locked on that day, and its data is released later.
-- remedy: Renew it, enable automatic renewal, or plan its removal.
SELECT account_id, region_id, name AS app_group, charge_type, TRY_CAST(expire_on AS TIMESTAMPTZ) AS expires
FROM opensearch_app_groups
WHERE TRY_CAST(expire_on AS TIMESTAMPTZ) <= (SELECT min(started_at) FROM _scopes) + INTERVAL 60 DAY
ORDER BY expires, account_id, region_id, app_group
