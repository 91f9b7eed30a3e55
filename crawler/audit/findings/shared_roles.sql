-- severity: low
-- title: Roles that ten or more functions share
-- tables: fc_functions, fc2_services, fc2_functions
-- reason: A role that many functions share has the permissions of all of them. The least trusted function can do
--   everything that the most trusted one needs.
-- remedy: Give functions with different work separate roles, each with only the permissions that it needs.
WITH uses AS (
  SELECT account_id, region_id, role, function_name AS function FROM fc_functions
  UNION ALL
  SELECT s.account_id, s.region_id, s.role, f.service_name || '/' || f.function_name
  FROM fc2_services s JOIN fc2_functions f USING (account_id, region_id, service_name)
)
SELECT account_id, role, count(*) AS functions, count(DISTINCT region_id) AS regions
FROM uses
WHERE coalesce(role, '') <> ''
GROUP BY account_id, role
HAVING count(*) >= 10
ORDER BY functions DESC, account_id, role
