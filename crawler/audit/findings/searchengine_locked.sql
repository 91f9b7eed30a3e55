-- severity: high
-- title: Vector Search and Retrieval Engine instances that are overdue or locked
-- tables: searchengine_instances
-- source: https://www.alibabacloud.com/help/en/open-search/vector-search-edition/owe-fee-or-refund-1
-- checked: 2026-12-01
-- reason: A locked instance doesn't serve queries. Instances whose payment is overdue are locked on the second day, and
--   released with their data on the fifteenth.
-- remedy: Pay or renew it, or export the data that you need and delete it. If neither is overdue, find out why it was
--   locked.
SELECT account_id, region_id, instance_id, description, edition, charge_type, in_debt, lock_mode, status,
       expired_time AS expires
FROM searchengine_instances
WHERE in_debt OR lower(coalesce(lock_mode, '')) NOT IN ('', 'unlock')
ORDER BY ALL
