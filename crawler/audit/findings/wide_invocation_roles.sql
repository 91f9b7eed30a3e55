-- severity: medium
-- title: Triggers whose invocation role may do more than their source needs
-- tables: fc_triggers, fc2_triggers
-- resource: role, trigger_type
-- lookups: ram_roles, ram_policies_for_role, ram_policy_versions
-- with: role_statements
-- source: the roles of triggers, https://docs.serverless-devs.com/fc/yaml/triggers
-- checked: 2026-12-01
-- reason: The event source assumes this role to invoke functions; Simple Log Service and Tablestore also read their
--   events with it. Any other action is one that the source can misuse, or a user who gives the role to another trigger.
--   Resources aren't compared, and conditions and denials may refuse a part.
-- remedy: Give the trigger a role with AliyunFCInvocationAccess, or with the vendor's policy for its source. Give the
--   function's own permissions to the role of the function.
WITH needed (source, pattern) AS (
  VALUES ('', 'fc:invoke*'),
         ('log', 'log:get*'), ('log', 'log:list*'), ('log', 'log:*consumergroup*'), ('log', 'log:*projectquery'),
         ('log', 'log:*postlogstorelogs'),
         ('tablestore', 'ots:get*'), ('tablestore', 'ots:list*'), ('tablestore', 'ots:describe*'),
         ('tablestore', 'ots:batchget*')
), uses AS (
  SELECT account_id, region_id, function, trigger_name, lower(trim(trigger_type)) AS source, role,
         regexp_extract(lower(role), '^\s*acs:ram:[^:]*:([0-9]+):role/', 1) AS role_account,
         regexp_extract(lower(role), ':role/(\S+)', 1) AS role_name
  FROM (SELECT account_id, region_id, function_name AS function, trigger_name, trigger_type, invocation_role AS role
        FROM fc_triggers
        UNION ALL
        SELECT account_id, region_id, service_name || '/' || function_name, trigger_name, trigger_type, invocation_role
        FROM fc2_triggers)
  WHERE trim(coalesce(role, '')) <> ''
), granted AS (
  SELECT DISTINCT a.account_id AS role_account, a.role_name, policy_name,
         unnest(coalesce(actions, ['all but ' || array_to_string(not_actions, ', ')])) AS action
  FROM attached a JOIN statements s USING (account_id, policy_type, policy_name)
  WHERE effect = 'allow'
), wide AS (
  SELECT role_account, role_name, source, list_sort(list(DISTINCT action)) AS actions,
         string_agg(DISTINCT policy_name, ', ' ORDER BY policy_name) AS policies
  FROM (SELECT DISTINCT role_account, role_name, source FROM uses) u JOIN granted USING (role_account, role_name)
       -- A pattern of actions is within a needed one if that matches its text.
       ANTI JOIN needed ON needed.source IN ('', u.source) AND action GLOB pattern
  WHERE action IS NOT NULL
  GROUP BY ALL
)
SELECT u.account_id, role, source AS trigger_type, count(*) AS triggers,
       min(function || '/' || trigger_name) AS first_trigger, any_value(policies) AS policies,
       any_value(len(actions)) AS wider_actions, any_value(actions[:10]) AS first_ten_actions,
       CASE WHEN bool_or(actions IS NOT NULL) THEN NULL
            WHEN u.role_account = '' THEN 'the role isn''t named by an ARN'
            WHEN bool_and(c.account_id IS NULL) THEN 'RAM of the role''s account wasn''t read to its end'
            WHEN bool_or(n.account_id IS NOT NULL) THEN 'a policy of the role has no readable document' END AS _unknown
FROM uses u LEFT JOIN wide USING (role_account, role_name, source)
     LEFT JOIN complete_ram c ON c.account_id = u.role_account
     LEFT JOIN unread_roles n ON n.account_id = u.role_account AND n.role_name = u.role_name
GROUP BY u.account_id, u.role_account, role, source
HAVING bool_or(actions IS NOT NULL) OR _unknown IS NOT NULL
ORDER BY ALL
