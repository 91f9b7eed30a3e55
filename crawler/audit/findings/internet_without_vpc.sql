-- severity: medium
-- title: Functions that reach the internet outside of a VPC
-- tables: fc_functions
-- reason: Without a VPC there is no security group, no flow log and no fixed address between the function and the
--   internet.
-- remedy: Bind the function to a VPC, disable internetAccess, and use a NAT gateway if it needs the internet. Leave
--   the function as it is if it handles nothing of value.
SELECT account_id, region_id, function_name AS function, runtime, role
FROM fc_functions
WHERE internet_access AND coalesce(vpc_config.vpc_id, '') = ''
ORDER BY ALL
