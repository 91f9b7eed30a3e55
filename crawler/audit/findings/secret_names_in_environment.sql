-- severity: medium
-- title: Environment variables whose names look like secrets
-- tables: fc_functions, fc2_functions
-- reason: Every user who may read the function's configuration can read its environment variables, and each version
--   keeps them. This finding is based on names; the snapshot has no values.
-- remedy: Keep secrets in a secrets manager that the function reads with its role, and replace the secrets listed
--   here.
WITH variables AS (
  SELECT account_id, region_id, function_name AS function, entry.key AS variable
  FROM fc_functions, unnest(map_entries(environment_variables)) AS u(entry) WHERE entry.value <> ''
  UNION ALL
  SELECT account_id, region_id, service_name || '/' || function_name, entry.key
  FROM fc2_functions, unnest(map_entries(environment_variables)) AS u(entry) WHERE entry.value <> ''
)
SELECT account_id, region_id, function, count(*) AS variables, string_agg(variable, ', ' ORDER BY variable) AS names
FROM variables
WHERE (
      regexp_matches(variable, '(secret|passw(or)?d|passphrase|pwd|token|credential|connection_?string|'
          || '(private|api|access|auth|encrypt(ion)?|signing)_?key|(^|_)(ak|sk|key)$)', 'i')
      AND NOT regexp_matches(variable, '_(ttl|timeout|ur[il]|path|file|dir|name|arn|length|size|limit|count'
          || '|enabled)$', 'i')
      OR regexp_matches(variable, '(database|db|mongo(db)?|redis|amqp|jdbc|mysql|postgres(ql)?)'
          || '_?(ur[il]|dsn)$', 'i'))
GROUP BY account_id, region_id, function
ORDER BY ALL
