-- severity: medium
-- title: Functions that pull images without checking the registry's certificate
-- tables: fc_functions
-- resource: function, registry
-- reason: With `insecure` the certificate of the registry isn't checked. An attacker on the network between the function
--   and the registry can replace the image, and read the registry's password.
-- remedy: Unset `insecure`, and give the registry's own authority in `rootCaCertBase64` if it has one.
SELECT account_id, region_id, function_name AS function, image, registry FROM (
  SELECT account_id, region_id, function_name, custom_container_config.image AS image, 'container' AS registry
  FROM fc_functions WHERE custom_container_config.registry_config.cert_config.insecure
  UNION ALL
  SELECT account_id, region_id, function_name, NULL, 'sandbox'
  FROM fc_functions WHERE micro_sandbox_config.registry_config.cert_config.insecure
)
ORDER BY ALL
