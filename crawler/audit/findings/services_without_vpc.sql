-- severity: medium
-- title: Services of Function Compute 2.0 without a VPC
-- tables: fc2_services, fc2_functions
-- reason: The functions of these services run outside your networks. With internet access on, none of your controls
--   is between them and the internet.
-- remedy: Bind the service to a VPC and disable internetAccess, or leave it as it is if it handles nothing of
--   value.
SELECT s.account_id, s.region_id, s.service_name AS service, s.internet_access, s.role,
       count(f.function_name) AS functions
FROM fc2_services s LEFT JOIN fc2_functions f USING (account_id, region_id, service_name)
WHERE coalesce(s.vpc_config.vpc_id, '') = ''
GROUP BY ALL
ORDER BY ALL
