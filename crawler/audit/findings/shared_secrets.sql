-- severity: medium
-- title: Secrets that several functions share
-- tables: fc_functions, fc2_functions
-- secrets: fingerprint
-- reason: Equal fingerprints are equal values. A secret that many functions hold is as safe as the weakest of them,
--   and can't be changed for one function only. A secret in two accounts links accounts that should be separate; with
--   fingerprint_scope = "account", the default, secrets are compared within each account only.
-- remedy: Give each function or service its own secret from a secrets manager. Start with secrets in more than one
--   account.
WITH variables AS (
  SELECT account_id, account_id || ' ' || region_id || ' ' || function_name AS function,
         entry.key AS variable, entry.value AS fingerprint
  FROM fc_functions, unnest(map_entries(environment_variables)) AS u(entry)
  UNION ALL
  SELECT account_id, account_id || ' ' || region_id || ' ' || service_name || '/' || function_name,
         entry.key, entry.value
  FROM fc2_functions, unnest(map_entries(environment_variables)) AS u(entry)
)
SELECT fingerprint, count(DISTINCT account_id) AS accounts, count(DISTINCT function) AS functions,
       string_agg(DISTINCT variable, ', ' ORDER BY variable) AS names,
       array_to_string(list_sort(list(DISTINCT function))[:10], ', ') AS first_ten_functions
FROM variables
WHERE starts_with(fingerprint, 'hmac:') AND (
      regexp_matches(variable, '(secret|passw(or)?d|passphrase|pwd|token|credential|connection_?string|'
          || '(private|api|access|auth|encrypt(ion)?|signing)_?key|(^|_)(ak|sk|key)$)', 'i')
      AND NOT regexp_matches(variable, '_(ttl|timeout|ur[il]|path|file|dir|name|arn|length|size|limit|count'
          || '|enabled)$', 'i')
      OR regexp_matches(variable, '(database|db|mongo(db)?|redis|amqp|jdbc|mysql|postgres(ql)?)'
          || '_?(ur[il]|dsn)$', 'i'))
GROUP BY fingerprint
HAVING count(DISTINCT function) > 1
ORDER BY accounts DESC, functions DESC, fingerprint
