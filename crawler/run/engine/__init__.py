"""Where the shards of a run are crawled: processes on this machine, or a Dask cluster.

Read `base` first: the protocol that each launcher has. `dask` starts shards on a cluster by `dask_task`, which runs on
the workers; `cpus` counts the processors of this machine.
"""
