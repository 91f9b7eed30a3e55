-- Functions of 3.0 and services of 2.0, with the account and the name of their role; empty if it isn't an ARN.
role_uses AS (
  SELECT account_id, region_id, function_or_service, role,
         regexp_extract(lower(role), '^\s*acs:ram:[^:]*:([0-9]+):role/', 1) AS role_account,
         regexp_extract(lower(role), ':role/(\S+)', 1) AS role_name
  FROM (SELECT account_id, region_id, function_name AS function_or_service, role FROM fc_functions
        UNION ALL
        SELECT account_id, region_id, service_name || '/', role FROM fc2_services)
  WHERE trim(coalesce(role, '')) <> ''
)
