-- severity: medium
-- title: Functions and services whose role may read every bucket
-- tables: fc_functions, fc2_services
-- lookups: ram_roles, ram_policies_for_role, ram_policy_versions
-- with: role_uses, role_statements, role_permissions
-- source: the elements of a policy, https://www.alibabacloud.com/help/document_detail/93738.html, and how RAM evaluates
--   them, https://help.aliyun.com/en/ram/policy-evaluation-process
-- checked: 2026-12-01
-- reason: The role may read (oss:GetObject) all objects in all buckets of its account, also in those of other
--   applications, and in those that will be created. `limits` are conditions and denials that may refuse a part.
-- remedy: Name the buckets in the policy's resources, such as acs:oss:*:*:orders and acs:oss:*:*:orders/*.
SELECT account_id, region_id, function_or_service, role, may, policies, limits, _unknown
FROM permissions_of_functions WHERE permission = 'read buckets'
ORDER BY limits IS NOT NULL, account_id, region_id, function_or_service
