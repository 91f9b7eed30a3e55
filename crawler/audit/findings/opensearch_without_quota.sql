-- severity: low
-- title: OpenSearch applications without a quota
-- tables: opensearch_app_groups
-- reason: Neither storage nor compute resources are told for the application: what it may use, and cost, isn't
--   known.
-- remedy: Look it up in the console; set a quota that fits.
SELECT account_id, region_id, name AS app_group, type, status, charge_type
FROM opensearch_app_groups
WHERE coalesce(quota.doc_size, 0) = 0 AND coalesce(quota.compute_resource, 0) = 0
ORDER BY ALL
