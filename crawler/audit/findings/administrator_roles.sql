-- severity: high
-- title: Functions and services whose role has administrator rights
-- tables: fc_functions, fc2_services
-- lookups: ram_roles, ram_policies_for_role, ram_policy_versions
-- with: role_uses, role_statements, role_permissions
-- source: the elements of a policy, https://www.alibabacloud.com/help/document_detail/93738.html, and how RAM evaluates
--   them, https://help.aliyun.com/en/ram/policy-evaluation-process
-- checked: 2026-12-01
-- reason: The role may do everything in its account, or may give itself everything: attach any policy to roles, or write a
--   new version of every policy, its own included. A user who can change the function's code, or make it run input of
--   their own, has the account. `limits` are conditions and denials that may refuse a part; policies of a resource
--   group, of the resource directory and of resources aren't considered.
-- remedy: Give the function a role of its own with the actions and resources that it needs, and detach this policy.
SELECT account_id, region_id, function_or_service, role, may, policies, limits, _unknown
FROM permissions_of_functions WHERE permission = 'administer'
ORDER BY limits IS NOT NULL, account_id, region_id, function_or_service
