-- severity: low
-- title: File systems that are mounted without encryption
-- tables: fc_functions, fc2_services
-- resource: function_or_service, server, folder
-- reason: The data that the function reads and writes on NAS crosses the network unencrypted.
-- remedy: Enable TLS for the mount point if the file system supports it.
WITH mounts AS (
  SELECT account_id, region_id, function_name AS function_or_service, unnest(nas_config.mount_points) AS mount
  FROM fc_functions
  UNION ALL
  SELECT account_id, region_id, service_name || '/', unnest(nas_config.mount_points)
  FROM fc2_services
)
SELECT account_id, region_id, function_or_service, mount.server_addr AS server, mount.mount_dir AS folder
FROM mounts
WHERE mount.enable_tls = false
ORDER BY ALL
