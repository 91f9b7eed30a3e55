-- severity: info
-- title: Provisioned instances (charged even when idle)
-- tables: fc_provision_configs, fc2_provision_configs
-- resource: function, qualifier
-- reason: Provisioned instances are charged for the time that they are ready. The snapshot has no traffic data, so
--   it is unknown whether they are needed.
-- remedy: Compare with the calls of the last weeks. Scale by schedule or by load, or remove the instances.
SELECT account_id, region_id, regexp_extract(function_arn, 'functions/([^/]+)', 1) AS function,
       regexp_extract(function_arn, 'functions/[^/]+/(.+)$', 1) AS qualifier, target, current,
       always_allocate_cpu
FROM fc_provision_configs WHERE target > 0
UNION ALL
SELECT account_id, region_id,
       if(resource LIKE '%#%#%#%', split_part(resource, '#', 2) || '/' || split_part(resource, '#', 4), resource),
       split_part(resource, '#', 3), target, current, always_allocate_cpu
FROM fc2_provision_configs WHERE target > 0
ORDER BY ALL
