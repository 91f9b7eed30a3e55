-- `<>` stands for any name: only a wildcard matches it.
probes (permission, probe, action, probed) AS (
  VALUES ('administer', 'do everything', '<>:<>', 'acs:<>:<>:ACCOUNT:<>'),
         ('administer', 'attach any policy to roles', 'ram:attachpolicytorole', 'acs:ram::ACCOUNT:role/<>'),
         ('administer', 'change every policy', 'ram:createpolicyversion', 'acs:ram::ACCOUNT:policy/<>'),
         ('pass roles', 'pass every role', 'ram:passrole', 'acs:ram::ACCOUNT:role/<>'),
         ('read buckets', 'read every object', 'oss:getobject', 'acs:oss:<>:ACCOUNT:<>/<>')
),
-- Whether a statement is about the action of a probe, whether it is about every resource, and about which roles.
matches AS (
  SELECT statements.*, permission, probe, replace(probed, 'ACCOUNT', account_id) AS wanted,
         coalesce(list_bool_or(list_transform(actions, lambda pattern: action GLOB pattern)),
                  NOT list_bool_or(list_transform(not_actions, lambda pattern: action GLOB pattern)), false) AS is_action,
         coalesce(list_bool_or(list_transform(resources, lambda pattern: wanted GLOB pattern)),
                  NOT list_bool_or(list_transform(not_resources, lambda pattern: wanted GLOB pattern)), false) AS is_all,
         if(permission = 'pass roles', list_filter(resources, lambda pattern: regexp_matches(
           pattern, '^acs:(ram|\*):[^:]*:(\*|' || account_id || '):role/')), []) AS roles,
         concat_ws(', ', 'if ' || condition, 'but for ' || array_to_string(not_resources, ', ')) AS limits
  FROM statements, probes
),
allowed AS (
  SELECT a.account_id, a.role_name, permission, probe, policy_name, limits,
         if(is_all, probe, 'pass ' || array_to_string(roles, ', ')) AS may
  FROM attached a JOIN matches m USING (account_id, policy_type, policy_name)
  WHERE effect = 'allow' AND is_action AND (is_all OR len(roles) > 0)
    AND NOT (probe = 'do everything' AND actions IS NULL)  -- NotAction leaves something out
),
denied AS (
  SELECT a.account_id, a.role_name, probe,
         -- A role may still be passed if all but some are denied. Then not every bucket may be read.
         bool_or(is_action AND is_all AND condition IS NULL
                 AND (not_resources IS NULL OR permission <> 'pass roles')) AS is_denied,
         string_agg(DISTINCT policy_name, ', ' ORDER BY policy_name) AS denying
  FROM attached a JOIN matches m USING (account_id, policy_type, policy_name)
  WHERE effect = 'deny' AND (is_action OR probe = 'do everything')
  GROUP BY ALL
),
-- What a statement allows and no statement denies wholly. `limits` are the conditions, and denials of a part.
permissions AS (
  SELECT account_id, role_name, permission, may, string_agg(DISTINCT policy_name, ', ' ORDER BY policy_name) AS policies,
         concat_ws('; ', if(bool_or(limits = ''), NULL, string_agg(DISTINCT limits, ' or ' ORDER BY limits)),
                   'denied in part by ' || any_value(denying)) AS limits
  FROM allowed LEFT JOIN denied USING (account_id, role_name, probe)
  WHERE is_denied IS DISTINCT FROM true
  GROUP BY account_id, role_name, permission, may
),
role_permissions AS (
  SELECT account_id AS role_account, role_name, permission, string_agg(may, '; ' ORDER BY may DESC) AS may,
         array_to_string(list_sort(list_distinct(flatten(list(string_split(policies, ', '))))), ', ') AS policies,
         nullif(string_agg(DISTINCT nullif(limits, ''), '; ' ORDER BY nullif(limits, '')), '') AS limits
  FROM permissions GROUP BY ALL
),
-- Functions and services by the permissions of their role; `_unknown` where these can't be known.
permissions_of_functions AS (
  SELECT u.account_id, region_id, function_or_service, role, permission, may, policies, limits,
         CASE WHEN may IS NOT NULL THEN NULL
              WHEN u.role_account = '' THEN 'the role isn''t named by an ARN'
              WHEN c.account_id IS NULL THEN 'RAM of the role''s account wasn''t read to its end'
              WHEN n.account_id IS NOT NULL THEN 'a policy of the role has no readable document' END AS _unknown
  FROM role_uses u CROSS JOIN (SELECT DISTINCT permission FROM probes)
       LEFT JOIN role_permissions USING (role_account, role_name, permission)
       LEFT JOIN complete_ram c ON c.account_id = u.role_account
       LEFT JOIN unread_roles n ON n.account_id = u.role_account AND n.role_name = u.role_name
  WHERE may IS NOT NULL OR _unknown IS NOT NULL
)
