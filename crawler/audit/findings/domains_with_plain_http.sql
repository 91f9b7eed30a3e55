-- severity: medium
-- title: Custom domains that accept plain HTTP
-- tables: fc_custom_domains, fc2_custom_domains
-- reason: Requests, with their tokens and data, cross the network unencrypted. An attacker on the path can read and
--   change them.
-- remedy: Allow HTTPS only, with a certificate. If old callers need HTTP, answer it with a redirect.
SELECT account_id, region_id, domain_name AS domain, trim(protocol, E' \t\r\n') AS protocol,
       coalesce(cert_config.cert_name, '') AS certificate
FROM fc_custom_domains WHERE list_contains(string_split(upper(trim(protocol, E' \t\r\n')), ','), 'HTTP')
UNION ALL
SELECT account_id, region_id, domain_name, trim(protocol, E' \t\r\n'), coalesce(cert_config.cert_name, '')
FROM fc2_custom_domains WHERE list_contains(string_split(upper(trim(protocol, E' \t\r\n')), ','), 'HTTP')
ORDER BY ALL
