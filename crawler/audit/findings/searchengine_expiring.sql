-- severity: medium
-- title: Vector Search and Retrieval Engine instances that expire within 60 days
-- tables: searchengine_instances
-- reason: A subscription that isn't renewed is locked on that day, and its data is released later.
-- remedy: Renew it, enable automatic renewal, or plan its removal.
SELECT account_id, region_id, instance_id, description, edition, charge_type, expired_time AS expires
FROM searchengine_instances
WHERE expired_time <= (SELECT min(started_at) FROM _scopes) + INTERVAL 60 DAY
  AND lower(coalesce(charge_type, '')) NOT LIKE 'post%'  -- pay-as-you-go never expires
ORDER BY expires, account_id, region_id, instance_id
