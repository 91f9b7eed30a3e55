-- severity: medium
-- title: Functions that reach the internet outside of a VPC
-- tables: fc_functions
-- reason: Without a VPC nothing of yours stands between the function and the internet: no security group, no flow
--   log, no fixed address that others could allow.
-- remedy: Bind the function to a VPC, switch internetAccess off, and let it out through a NAT gateway where it
--   must; leave it where it handles nothing of value.
SELECT account_id, region_id, function_name AS function, runtime, role
FROM fc_functions
WHERE internet_access AND coalesce(vpc_config.vpc_id, '') = ''
ORDER BY ALL
