-- severity: high
-- title: Vector Search and Retrieval Engine instances whose public address is open to everyone
-- tables: searchengine_instances
-- source: https://www.alibabacloud.com/help/en/open-search/vector-search-edition/public-whitelist-configuration
-- checked: 2026-12-01
-- reason: Public access is on, and the whitelist has a block of addresses that covers the internet or a large part of
--   it (a prefix of less than 8 bits, such as 0.0.0.0/0). Only a user name and a password keep others out.
-- remedy: Disable public access, or list only the addresses that need it.
SELECT account_id, region_id, instance_id, description, edition, status,
       network.public_endpoint AS public_endpoint, network.allow AS whitelist
FROM searchengine_instances
WHERE trim(coalesce(network.public_endpoint, '')) <> ''
  AND regexp_matches(network.allow, '(^|[\s,;])(\*|0\.0\.0\.0|::|[0-9a-fA-F.:]+/[0-7])([\s,;]|$)')
ORDER BY ALL
