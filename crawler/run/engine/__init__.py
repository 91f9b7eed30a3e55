"""Where the shards of a run are crawled: each attempt is a child process, and a launcher starts them.

Read `base.py` (the protocol of launchers), `processes.py` (worker processes of this machine), `coordinate.py` (the loop
that runs all shards and replaces the dead).
"""
