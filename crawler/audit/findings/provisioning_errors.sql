-- severity: medium
-- title: Provisioned instances that can't be started
-- tables: fc_provision_configs, fc2_provision_configs
-- resource: function, qualifier
-- reason: The service reports an error for these instances: the function runs with fewer instances than requested,
--   or with none.
-- remedy: Read the error, fix its cause, and check that current reaches target.
SELECT account_id, region_id, regexp_extract(function_arn, 'functions/([^/]+)', 1) AS function,
       regexp_extract(function_arn, 'functions/[^/]+/(.+)$', 1) AS qualifier, target, current,
       current_error AS error
FROM fc_provision_configs WHERE coalesce(current_error, '') <> ''
UNION ALL
SELECT account_id, region_id,
       if(resource LIKE '%#%#%#%', split_part(resource, '#', 2) || '/' || split_part(resource, '#', 4), resource),
       split_part(resource, '#', 3), target, current, current_error
FROM fc2_provision_configs WHERE coalesce(current_error, '') <> ''
ORDER BY ALL
