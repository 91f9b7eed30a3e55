-- severity: low
-- title: OpenSearch applications without a quota
-- tables: opensearch_app_groups
-- reason: The API reports neither storage nor compute resources for the application, so its limits and its cost are
--   unknown.
-- remedy: Check the quota in the console and set one that fits.
SELECT account_id, region_id, name AS app_group, type, status, charge_type
FROM opensearch_app_groups
WHERE coalesce(quota.doc_size, 0) = 0 AND coalesce(quota.compute_resource, 0) = 0
ORDER BY ALL
