"""Tasks that run one job after the other: each job as if it had a task and a cancel scope of its own."""

from __future__ import annotations

import asyncio
import gc
import weakref

import anyio
import pytest

from crawler.errors import unwrap_group
from crawler.run.worker_pool import MAX_IDLE, WorkerPool


class Job:
    """A job that runs until `go`; `seen` has its events, in order."""

    def __init__(self, go=True) -> None:
        self.go = anyio.Event()
        if go:
            self.go.set()
        self.seen = []
        self.running = None
        self.task = None


async def run(job, running):
    job.running, job.task = running, asyncio.current_task()
    try:
        await job.go.wait()
        job.seen.append("done")
    except BaseException:
        job.seen.append("stopped")
        raise


async def finish(job):
    await anyio.sleep(0)  # raises where the scope that was cancelled is still around
    job.seen.append("finished")


async def turns():
    for _ in range(5):
        await anyio.sleep(0)


async def test_a_task_that_has_ended_its_job_takes_the_next_one():
    jobs = [Job() for _ in range(20)]
    async with anyio.create_task_group() as tasks:
        workers = WorkerPool(tasks, run, finish)
        for job in jobs:
            assert workers.begin(job)
            await turns()
        workers.end()
    assert {job.task for job in jobs} == {jobs[0].task}
    assert all(job.seen == ["done", "finished"] for job in jobs)


async def test_jobs_run_side_by_side():
    jobs = [Job(go=False) for _ in range(20)]
    async with anyio.create_task_group() as tasks:
        workers = WorkerPool(tasks, run, finish)
        for job in jobs:
            workers.begin(job)
        await turns()
        assert len({job.task for job in jobs}) == 20
        for job in jobs:
            job.go.set()
        workers.end()
    assert all(job.seen == ["done", "finished"] for job in jobs)


async def test_a_job_that_is_cancelled_is_finished_and_the_next_in_its_task_is_not_cancelled():
    stopped, following, last = Job(go=False), Job(go=False), Job()
    async with anyio.create_task_group() as tasks:
        workers = WorkerPool(tasks, run, finish)
        workers.begin(stopped)
        await turns()
        stopped.running.cancel()
        await turns()
        workers.begin(following)
        await turns()
        following.go.set()
        await turns()
        workers.begin(last)
        await turns()
        workers.end()
    assert stopped.seen == ["stopped", "finished"]
    assert following.seen == last.seen == ["done", "finished"]
    assert stopped.task is following.task is last.task


async def test_a_job_that_ends_in_the_moment_it_is_cancelled_is_finished_all_the_same():
    stopped, following = Job(go=False), Job()
    async with anyio.create_task_group() as tasks:
        workers = WorkerPool(tasks, run, finish)
        workers.begin(stopped)
        await turns()
        stopped.go.set()
        stopped.running.cancel()
        await turns()
        workers.begin(following)
        await turns()
        workers.end()
    assert stopped.seen[-1] == "finished"
    assert following.seen == ["done", "finished"]


async def test_an_error_of_a_job_ends_all_of_them():
    running = Job(go=False)

    async def fail(job, scope):
        if job is running:
            await run(job, scope)
        raise ValueError("no disk")

    async def crawl():
        async with anyio.create_task_group() as tasks:
            workers = WorkerPool(tasks, fail, finish)
            workers.begin(running)
            await turns()
            workers.begin(Job())

    with pytest.raises(BaseExceptionGroup) as failed:
        await crawl()
    assert str(unwrap_group(failed.value)) == "no disk"
    assert running.seen == ["stopped"]


async def test_after_the_end_nothing_begins_and_what_runs_comes_to_its_end():
    running, late = Job(go=False), Job()
    async with anyio.create_task_group() as tasks:
        workers = WorkerPool(tasks, run, finish)
        workers.begin(running)
        await turns()
        workers.end()
        assert not workers.begin(late)
        running.go.set()
    assert running.seen == ["done", "finished"]
    assert late.seen == []


async def test_a_job_that_comes_while_all_are_being_stopped_begins_and_is_stopped():
    first, late = Job(), Job(go=False)
    async with anyio.create_task_group() as tasks:
        workers = WorkerPool(tasks, run, finish)
        workers.begin(first)
        await turns()
        tasks.cancel_scope.cancel()  # workers that wait for a job have been woken up to end
        assert workers.begin(late)
    assert late.seen == ["stopped"]


async def test_who_waits_for_a_job_holds_nothing_of_the_last_one():
    job = Job()
    gone = weakref.ref(job)
    async with anyio.create_task_group() as tasks:
        workers = WorkerPool(tasks, run, finish)
        workers.begin(job)
        del job
        await turns()
        gc.collect()
        assert gone() is None
        workers.end()


async def test_only_so_many_wait_after_a_rush():
    jobs = [Job() for _ in range(MAX_IDLE + 50)]
    before = len(asyncio.all_tasks())
    async with anyio.create_task_group() as tasks:
        workers = WorkerPool(tasks, run, finish)
        for job in jobs:
            workers.begin(job)
        await turns()
        assert len(asyncio.all_tasks()) == before + MAX_IDLE
        workers.end()
    assert all(job.seen == ["done", "finished"] for job in jobs)
