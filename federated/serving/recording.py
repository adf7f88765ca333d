"""What happens after an answer: the challenger scores the same query in its shadow, and both scores are logged."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from federated.governance.manifest import Manifest
from federated.governance.monitoring.score_log import Answered
from federated.governance.oversight import Oversight

log = logging.getLogger(__name__)
# Answers that may wait for the challenger; under more load than it can follow, the rest are logged without it.
WAITING_MAX = 1_000
Challenge = Callable[[Manifest], int | None]


class Recorder:
    """Logs each answered score. The answer is made by then, and nothing that is slow or fails here may touch it.

    Without a challenger a row is written at once; a challenger is asked in a thread of its own.
    """

    def __init__(self, oversight: Oversight) -> None:
        self._oversight = oversight
        self._shadow = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shadow")
        self._room = threading.BoundedSemaphore(WAITING_MAX)

    def close(self) -> None:
        """Finish the query that is being scored in the shadow, and drop those that wait."""
        self._shadow.shutdown(wait=True, cancel_futures=True)

    def settle(self) -> None:
        """Wait until everything answered before this call is logged."""
        self._shadow.submit(lambda: None).result()

    def record(self, answered: Answered, challenge: Challenge) -> None:
        """Log `answered`, with the challenger's score where there is one; `challenge` scores the query with it.

        A challenger that raises is logged by its version without a score, which counts as failed. Raises nothing.
        """
        try:
            if self._oversight.lifecycle().challenger is not None and self._room.acquire(blocking=False):
                self._shadow.submit(self._both, answered, challenge)
            else:
                self._oversight.scores.record(answered)
        except Exception as error:
            # A full disk or a broken log costs a row of statistics; the bank's own inquiry log has the answer.
            log.warning("a score was answered but not recorded for monitoring: %s", type(error).__name__)

    def _both(self, answered: Answered, challenge: Challenge) -> None:
        try:
            self._oversight.scores.record(self._challenged(answered, challenge))
        except Exception as error:
            log.warning("a score was answered but not recorded for monitoring: %s", type(error).__name__)
        finally:
            self._room.release()

    def _challenged(self, answered: Answered, challenge: Challenge) -> Answered:
        try:
            manifest = self._oversight.governance.challenger(answered.at)
        except Exception as error:
            log.warning("the challenger could not be read: %s", type(error).__name__)
            return replace(answered, challenger=self._oversight.lifecycle().challenger)
        if manifest is None:
            return answered
        try:
            score = challenge(manifest)
        except Exception as error:
            log.warning("the challenger %s did not score: %s", manifest.version, type(error).__name__)
            score = None
        return replace(answered, challenger=manifest.version, challenger_score=score)
