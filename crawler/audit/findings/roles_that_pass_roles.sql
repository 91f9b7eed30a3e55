-- severity: high
-- title: Functions and services whose role may pass roles
-- tables: fc_functions, fc2_services
-- lookups: ram_roles, ram_policies_for_role, ram_policy_versions
-- with: role_uses, role_statements, role_permissions
-- source: the elements of a policy, https://www.alibabacloud.com/help/document_detail/93738.html, and how RAM evaluates
--   them, https://help.aliyun.com/en/ram/policy-evaluation-process
-- checked: 2026-12-01
-- reason: With ram:PassRole the function can hand a role to a service, such as to a new function, and act with that
--   role's permissions. `may` names the roles; `limits` are conditions and denials that may refuse a part.
--   A condition on acs:Service leaves all roles that this service may assume.
-- remedy: Allow ram:PassRole only for the roles that the function really hands on, by their ARN, or not at all.
SELECT account_id, region_id, function_or_service, role, may, policies, limits, _unknown
FROM permissions_of_functions WHERE permission = 'pass roles'
ORDER BY may <> 'pass every role', limits IS NOT NULL, account_id, region_id, function_or_service
