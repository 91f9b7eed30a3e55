"""One crawl: plan, session, scheduler, pagination, output and result.

Read `run` first: it wires the rest. Then `plan`, `session` and `scheduler`; `pagination` walks one list.
"""
