"""One crawl, from the configuration to the commit.

Read `run` first: it connects the rest. Then read `plan` (with `targets`, `discovery`, `organization` and
`resource_directory`), `session` (`connection`, `system`), `scheduler` (`admission`, `scope_tree`, `scope`, `outcome`,
`worker_pool`), `list_walker` (`pagination`, `details`), `output` and `result`. `progress` and `watchdog` observe a
crawl; `forecast` estimates one, and `balance` divides its accounts among the processes that `engine` starts.
"""
