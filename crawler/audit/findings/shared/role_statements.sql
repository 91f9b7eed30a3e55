-- Accounts whose RAM was read to its end. RAM has one scope per account, in the region `global`.
complete_ram AS (
  SELECT account_id FROM _scopes
  WHERE "table" IN ('ram_roles', 'ram_policies_for_role', 'ram_policy_versions') AND written
  GROUP BY account_id HAVING count(DISTINCT "table") = 3 AND bool_and(status = 'complete')
),
-- RAM doesn't distinguish capitals in the names of roles.
attached AS (
  SELECT DISTINCT account_id, lower(role_name) AS role_name, policy_type, policy_name FROM ram_policies_for_role
),
documents AS (
  SELECT account_id, policy_type, policy_name, any_value(policy_document.statement) AS statements
  FROM ram_policy_versions SEMI JOIN attached USING (account_id, policy_type, policy_name)
  WHERE is_default_version
  GROUP BY account_id, policy_type, policy_name
),
-- Roles with a policy whose document the snapshot doesn't have.
unread_roles AS (
  SELECT DISTINCT account_id, role_name
  FROM attached LEFT JOIN documents USING (account_id, policy_type, policy_name)
  WHERE statements IS NULL
),
-- An element is one text or a list of texts, compared without its capitals. Of a condition only the operators and the
-- keys are taken, because its values may be secrets.
statements AS (
  SELECT account_id, policy_type, policy_name, lower(s.effect) AS effect,
         list_transform([s.action, s.not_action, s.resource, s.not_resource], lambda element:
           json_extract_string(if(element LIKE '[%', lower(element), '[' || lower(element) || ']'), '$[*]')) AS elements,
         elements[1] AS actions, elements[2] AS not_actions, elements[3] AS resources, elements[4] AS not_resources,
         if(regexp_replace(s.condition, '\s', '', 'g') NOT IN ('{}', 'null'),
            coalesce(nullif(array_to_string(list_transform(json_keys(s.condition), lambda operator: concat_ws(' ', operator,
              array_to_string(json_keys(json_extract(s.condition, '/' || operator)), ', '))), '; '), ''),
                     'a condition holds'), NULL) AS condition
  FROM documents, unnest(statements) AS u(s)
)
