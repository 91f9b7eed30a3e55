"""One crawl: plan, session, scheduler, pagination, output and result.

Read `run` first: it connects the rest. Then read `plan`, `session` and `scheduler`; `pagination` reads one list.
"""
