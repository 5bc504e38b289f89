"""Several things at once: one lane of threads for each quota, with a bounded queue."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from janitor.aws.pace import StoppedError

T = TypeVar("T")


class Lane(Generic[T]):
    """Threads that take up to `batch` items at a time from a bounded queue and work on them.

    Once `stop` is set, items are handed to `dropped` instead of being worked on. An exception
    out of `work` goes to `failed` (which is expected to set `stop`), its items to `dropped`.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[T]], None],
        dropped: Callable[[T], None],
        failed: Callable[[BaseException], None],
        stop: threading.Event,
        *,
        threads: int = 1,
        batch: int = 1,
        size: int = 2000,
    ) -> None:
        self._name = name
        self._work = work
        self._dropped = dropped
        self._failed = failed
        self._stop = stop
        self._count = threads
        self._batch = batch
        self._queue: queue.Queue[T | None] = queue.Queue(size)
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def put(self, item: T) -> None:
        """Queue an item; waits while the queue is full."""
        with self._lock:
            if not self._threads:
                self._threads = [
                    threading.Thread(target=self._run, name=f"{self._name}-{i}", daemon=True)
                    for i in range(self._count)
                ]
                for thread in self._threads:
                    thread.start()
        self._queue.put(item)

    def close(self) -> None:
        """Wait until everything queued is worked on or dropped."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _run(self) -> None:
        while (items := self._take()) is not None:
            if self._stop.is_set():
                self._drop(items)
                continue
            try:
                self._work(items)
            except StoppedError:
                self._drop(items)
            except BaseException as error:  # a thread's error must end the run, not the thread
                self._failed(error)
                self._drop(items)

    def _drop(self, items: list[T]) -> None:
        for item in items:
            self._dropped(item)

    def _take(self) -> list[T] | None:
        first = self._queue.get()
        if first is None:
            return None
        items = [first]
        while len(items) < self._batch:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._queue.put(None)  # the end is for each thread to see once
                break
            items.append(item)
        return items
