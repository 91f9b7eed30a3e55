-- severity: low
-- title: Runtimes whose language is no longer maintained
-- tables: fc_functions, fc2_functions
-- source: the release schedules of nodejs/Release, devguide.python.org/versions, php.net/eol.php and
--   dotnet.microsoft.com/platform/support/policy
-- checked: 2026-11-22
-- reason: The vendor still offers these runtimes, but the language's own project had ended security updates before
--   the crawl.
-- remedy: Plan the move to a later version before the vendor retires the runtime.
WITH ended (runtime, language, maintained_until) AS (
  VALUES ('nodejs14', 'Node.js 14', DATE '2023-04-30'),
         ('nodejs16', 'Node.js 16', DATE '2023-09-11'),
         ('nodejs18', 'Node.js 18', DATE '2025-04-30'),
         ('nodejs20', 'Node.js 20', DATE '2026-04-30'),
         ('python3', 'Python 3.6', DATE '2021-12-23'),
         ('python3.9', 'Python 3.9', DATE '2025-10-31'),
         ('python3.10', 'Python 3.10', DATE '2026-10-31'),
         ('php7.2', 'PHP 7.2', DATE '2020-11-30'),
         ('dotnetcore3.1', '.NET Core 3.1', DATE '2022-12-13')
), functions AS (
  SELECT account_id, region_id, function_name AS function, runtime FROM fc_functions
  UNION ALL
  SELECT account_id, region_id, service_name || '/' || function_name, runtime FROM fc2_functions
)
SELECT account_id, region_id, function, runtime, language, maintained_until
FROM functions JOIN ended USING (runtime)
WHERE maintained_until < (SELECT min(started_at) FROM _scopes)
ORDER BY ALL
