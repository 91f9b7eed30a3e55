-- severity: low
-- title: Roles for Function Compute that no function and no service uses
-- tables: ram_roles
-- lookups: fc_functions, fc2_services, fc_triggers, fc2_triggers
-- reason: Function Compute may assume the role, but nothing in the crawled regions names it, as the role of a function,
--   a service, a VPC or a trigger. It keeps its permissions, and whoever may pass roles can give it to a new function.
--   A published version of a function may still have it.
-- remedy: Find out whether a version, a region that wasn't crawled or a deployment needs it, then delete it.
WITH whole AS (
  SELECT account_id, count(DISTINCT region_id) AS regions FROM _scopes
  WHERE "table" IN ('fc_functions', 'fc2_services', 'fc_triggers', 'fc2_triggers') AND written
  GROUP BY account_id
  HAVING count(DISTINCT "table") = 4 AND bool_and(status IN ('complete', 'unsupported'))
), named AS (
  SELECT role FROM fc_functions
  UNION SELECT vpc_config.role FROM fc_functions
  UNION SELECT role FROM fc2_services
  UNION SELECT vpc_config.role FROM fc2_services
  UNION SELECT invocation_role FROM fc_triggers
  UNION SELECT invocation_role FROM fc2_triggers
), used AS (
  SELECT DISTINCT regexp_extract(lower(role), '^\s*acs:ram:[^:]*:([0-9]+):role/', 1) AS account_id,
                  regexp_extract(lower(role), ':role/(\S+)', 1) AS name
  FROM named
), services AS (
  SELECT account_id, role_name, unnest(json_extract_string(
           if(s.principal.service LIKE '[%', s.principal.service, '[' || s.principal.service || ']'), '$[*]')) AS service
  FROM ram_roles, unnest(assume_role_policy_document.statement) AS u(s)
  WHERE lower(s.effect) = 'allow'
), roles AS (
  SELECT account_id, role_name, lower(role_name) AS name, any_value(create_date) AS created,
         list_sort(list(DISTINCT service)) AS services,
         bool_or(assume_role_policy_document.statement IS NULL) AS is_unread
  FROM ram_roles LEFT JOIN services USING (account_id, role_name)
  WHERE is_service_linked_role IS DISTINCT FROM true
  GROUP BY account_id, role_name
)
SELECT account_id, role_name AS role, created, services AS assumed_by, regions AS crawled_regions,
       CASE WHEN is_unread THEN 'the trust policy of the role has no readable document'
            WHEN regions IS NULL THEN 'Function Compute of the role''s account wasn''t read to its end' END AS _unknown
FROM roles LEFT JOIN whole USING (account_id) ANTI JOIN used USING (account_id, name)
WHERE is_unread OR list_contains(services, 'fc.aliyuncs.com')
ORDER BY account_id, role
