-- severity: medium
-- title: Custom domains that accept old TLS
-- tables: fc_custom_domains, fc2_custom_domains
-- reason: An eavesdropper can break TLS 1.0 and 1.1, and cipher suites with RC4, DES or export keys.
-- remedy: Set the minimum version to TLSv1.2 and remove the old cipher suites.
WITH domains AS (
  SELECT account_id, region_id, domain_name AS domain, tls_config FROM fc_custom_domains
  UNION ALL
  SELECT account_id, region_id, domain_name, tls_config FROM fc2_custom_domains
)
SELECT account_id, region_id, domain, tls_config.min_version AS least_version,
       array_to_string(list_filter(tls_config.cipher_suites, lambda s: regexp_matches(s, 'RC4|DES|EXPORT|NULL')), ', ')
         AS weak_suites
FROM domains
WHERE regexp_matches(tls_config.min_version, '^(SSL|TLSv1(\.[01])?\s*$)')
   OR len(list_filter(tls_config.cipher_suites, lambda s: regexp_matches(s, 'RC4|DES|EXPORT|NULL'))) > 0
ORDER BY ALL
