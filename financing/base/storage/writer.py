"""The write path: one writer thread, many commands a commit, a savepoint a command, acknowledged after the commit.

A transaction a request costs one fsync each; here everything that waits shares one. A command that is refused is rolled
back to its savepoint and the others go on. Nothing is acknowledged before the commit returned.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from financing.base.storage.database import lock_for_writing

T = TypeVar("T")
U = TypeVar("U")


@dataclass(slots=True)
class _Job:
    command: Callable[[Any], Any]
    future: Future[Any]
    value: Any = None
    error: BaseException | None = None

    def acknowledge(self) -> None:
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


class WriterClosed(RuntimeError):
    """The writer was closed before the command could be committed; nothing of it was stored."""


class Writer(Generic[U]):
    """Owns the only writing connection of this process; `unit_of` builds what a command may touch on it.

    `submit` may be called from any thread; the returned future resolves after the commit, with the command's result or
    its error. A command may run twice (if a shared commit fails), so it must not act outside its unit of work.
    `max_batch` bounds the number of commands that share a commit.
    """

    def __init__(self, engine: Engine, unit_of: Callable[[Connection], U], *, max_batch: int = 256) -> None:
        self._unit_of = unit_of
        self._engine = engine.execution_options(tanxin_writer=True)
        self._max_batch = max_batch
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="tanxin-writer", daemon=True)
        self._thread.start()

    def submit(self, command: Callable[[U], T]) -> Future[T]:
        """Queue a command. Raises `WriterClosed` once `close` was called."""
        job = _Job(command, Future())
        with self._gate:
            if self._closed:
                raise WriterClosed("the writer is closed")
            self._jobs.put(job)
        return job.future

    def execute(self, command: Callable[[U], T]) -> T:
        """Queue a command and wait for its commit."""
        return self.submit(command).result()

    def close(self) -> None:
        """Commit what is queued, then stop. Safe to call twice."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._next_batch()
            if batch:
                self._commit(batch)

    def _next_batch(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            if job.future.set_running_or_notify_cancel():
                batch.append(job)
            if len(batch) >= self._max_batch:
                return batch, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: Sequence[_Job]) -> None:
        try:
            self._transact(batch)
        except BaseException as error:
            if len(batch) > 1:
                # A constraint that is checked at commit failed, or the database went away: find out for whom.
                for job in batch:
                    self._commit([job])
                return
            batch[0].error = error
        for job in batch:
            job.acknowledge()

    def _transact(self, batch: Sequence[_Job]) -> None:
        with self._engine.connect() as connection, connection.begin():
            lock_for_writing(connection)
            for job in batch:
                job.value, job.error = None, None
                savepoint = connection.begin_nested()
                try:
                    job.value = job.command(self._unit_of(connection))
                    savepoint.commit()
                except Exception as error:
                    if isinstance(error, DBAPIError) and error.connection_invalidated:
                        raise
                    savepoint.rollback()
                    job.error = error
