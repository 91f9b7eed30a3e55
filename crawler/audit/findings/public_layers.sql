-- severity: high
-- title: Layers that everyone may use
-- tables: fc_layers, fc2_layers
-- reason: A layer whose access is public can be downloaded by any account: its code, and whatever else was packed
--   into it.
-- remedy: Make the layer private, unless it is meant to be published; look through all its versions for keys and
--   configuration.
SELECT account_id, region_id, layer_name AS layer, version, license, create_time AS created
FROM fc_layers WHERE trim(acl) = '1'
UNION ALL
SELECT account_id, region_id, layer_name, version, license, create_time
FROM fc2_layers WHERE acl = 1
ORDER BY ALL
