-- severity: medium
-- title: Functions that aren't active, or whose last update failed
-- tables: fc_functions
-- reason: A function that is Failed, Inactive or Pending doesn't answer, or not before it is made ready anew; one
--   whose last update failed runs code that nobody meant any more.
-- remedy: Read the reason beside it, deploy anew, or delete what isn't needed.
SELECT account_id, region_id, function_name AS function, state, state_reason, last_update_status,
       last_update_status_reason
FROM fc_functions
WHERE coalesce(state, 'Active') NOT IN ('Active', '') OR last_update_status = 'Failed'
ORDER BY ALL
