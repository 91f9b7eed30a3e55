-- severity: medium
-- title: Runtimes that the vendor has retired
-- tables: fc_functions, fc2_functions
-- source: Cloud Config's rule fc-function-runtime-check,
--   https://www.alibabacloud.com/help/en/cloud-config/latest/fc-not-using-obsolete-runtime
-- checked: 2026-11-22
-- reason: Function Compute no longer provides security updates and support for these runtimes. New functions can't
--   use them, and later existing functions can't be updated.
-- remedy: Move to a maintained runtime, test it, and shift traffic with an alias.
SELECT account_id, region_id, function_name AS function, runtime, last_modified_time AS last_modified
FROM fc_functions
WHERE runtime IN ('nodejs12', 'nodejs10', 'nodejs8', 'nodejs6', 'nodejs4.4', 'python2.7', 'dotnetcore2.1')
UNION ALL
SELECT account_id, region_id, service_name || '/' || function_name, runtime, last_modified_time
FROM fc2_functions
WHERE runtime IN ('nodejs12', 'nodejs10', 'nodejs8', 'nodejs6', 'nodejs4.4', 'python2.7', 'dotnetcore2.1')
ORDER BY ALL
