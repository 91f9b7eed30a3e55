-- severity: medium
-- title: Functions and services whose role doesn't exist
-- tables: fc_functions, fc2_services
-- lookups: ram_roles
-- with: role_uses
-- reason: The function gets no credentials, so its calls to other services fail. A user who creates a role with that
--   name decides what the function may do.
-- remedy: Give the function a role that exists, or none if it makes no calls.
WITH whole AS (
  SELECT account_id AS role_account FROM _scopes WHERE "table" = 'ram_roles' AND written AND status = 'complete'
)
SELECT u.account_id, u.region_id, function_or_service, role,
       CASE WHEN u.role_account = '' THEN 'the role isn''t named by an ARN'
            WHEN w.role_account IS NULL THEN 'RAM of the role''s account wasn''t read to its end' END AS _unknown
FROM role_uses u LEFT JOIN whole w USING (role_account)
     ANTI JOIN ram_roles r ON r.account_id = u.role_account AND lower(r.role_name) = u.role_name
ORDER BY ALL
