-- severity: low
-- title: Roles for Function Compute that no function, service or sandbox uses
-- tables: fc_functions, fcsandbox_templates, fcsandbox_volumes
-- lookups: ram_roles, fc2_services, fc_triggers, fc2_triggers
-- source: the roles that sandboxes mount with, https://help.aliyun.com/en/functioncompute/mount-agenticfs-volume
-- checked: 2026-12-01
-- reason: Function Compute may assume the role, but nothing in the crawled regions names it, as the role of a function,
--   a service, a VPC, a trigger, or a sandbox's template or volume. It keeps its permissions, and every user who may pass
--   roles can give it to a new function. A published version of a function may still have it.
-- remedy: Find out whether a version, a region that wasn't crawled or a deployment needs it, then delete it.
WITH whole AS (
  SELECT account_id, count(DISTINCT region_id) FILTER ("table" NOT LIKE 'fcsandbox%') AS regions FROM _scopes
  WHERE "table" IN ('fc_functions', 'fc2_services', 'fc_triggers', 'fc2_triggers', 'fcsandbox_templates',
                    'fcsandbox_volumes') AND written
  GROUP BY account_id
  HAVING count(DISTINCT "table") FILTER ("table" NOT LIKE 'fcsandbox%') = 4
     AND bool_and(status IN ('complete', 'unsupported'))
), named AS (
  SELECT account_id, role FROM fc_functions
  UNION SELECT account_id, vpc_config.role FROM fc_functions
  UNION SELECT account_id, role FROM fc2_services
  UNION SELECT account_id, vpc_config.role FROM fc2_services
  UNION SELECT account_id, invocation_role FROM fc_triggers
  UNION SELECT account_id, invocation_role FROM fc2_triggers
  UNION SELECT account_id, runtime_config.vpc_config.role FROM fcsandbox_templates
  UNION SELECT account_id, mount_config.role FROM fcsandbox_volumes
), used AS (
  -- A role that isn't named by an ARN is one of the same account.
  SELECT DISTINCT coalesce(nullif(regexp_extract(lower(role), '^\s*acs:ram:[^:]*:([0-9]+):role/', 1), ''), account_id)
                    AS account_id,
                  coalesce(nullif(regexp_extract(lower(role), ':role/(\S+)', 1), ''), lower(trim(role))) AS name
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
