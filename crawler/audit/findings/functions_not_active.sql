-- severity: medium
-- title: Functions that aren't active, or whose last update failed
-- tables: fc_functions
-- reason: A function that is Failed, Inactive or Pending doesn't answer, or only after it has been activated again.
--   A function whose last update failed still runs the old code.
-- remedy: Read the reason in the row, deploy the function again, or delete it if it isn't needed.
SELECT account_id, region_id, function_name AS function, state, state_reason, last_update_status,
       last_update_status_reason
FROM fc_functions
WHERE coalesce(state, 'Active') NOT IN ('Active', '') OR last_update_status = 'Failed'
ORDER BY ALL
