"""One crawl, from the configuration to the commit: plan, shards, join.

Read `run` first, the crawl in one process, with `preparation`. Then read `plan` (with `targets`, `discovery`,
`organization` and `resource_directory`), `session` (`connection`, `system`), `shard` (`scheduler`, `admission`,
`scope_tree`, `scope`, `outcome`, `worker_pool`), `list_walker` (`pagination`, `details`), `join`, `output` and
`result`. Several processes share a crawl by a `coordinator` or by themselves (`shared_crawl`), with `run_steps`,
`planning`, `balance`, `shard_attempt`, `join_run` and `engine`.
`progress` and `watchdog` observe a crawl; `forecast` estimates one.
"""
