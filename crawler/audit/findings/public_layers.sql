-- severity: high
-- title: Public layers
-- tables: fc_layers, fc2_layers
-- reason: Any account can download a layer with public access, with its code and all other files in it.
-- remedy: Make the layer private unless it is meant to be public. Search all its versions for keys and
--   configuration.
SELECT account_id, region_id, layer_name AS layer, version, license, create_time AS created
FROM fc_layers WHERE trim(acl) = '1'
UNION ALL
SELECT account_id, region_id, layer_name, version, license, create_time
FROM fc2_layers WHERE acl = 1
ORDER BY ALL
