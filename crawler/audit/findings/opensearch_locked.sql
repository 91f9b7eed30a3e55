-- severity: high
-- title: OpenSearch applications that are locked
-- tables: opensearch_app_groups
-- reason: A locked application doesn't serve queries. It is released some time after it expired, and its data is
--   deleted then.
-- remedy: Renew it, or export the data that you need and delete it. If it hasn't expired, find out why it was
--   locked.
SELECT account_id, region_id, name AS app_group, lock_mode,
       coalesce(locked_by_expiration, 0) = 1 AS locked_by_expiration,
       status, nullif(trim(expire_on, '"'), '') AS expires
FROM opensearch_app_groups
WHERE locked_by_expiration = 1 OR coalesce(lock_mode, '') NOT IN ('', 'Unlock')
ORDER BY ALL
