"""What happens after an answer: the challenger scores the same query in its shadow, and both scores are logged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from federated.registry.manifest import Manifest
from federated.registry.monitoring import Answered
from federated.registry.oversight import Oversight

log = logging.getLogger(__name__)


class Recorder:
    """Logs each answered score. The answer is made by then, and nothing that fails here may touch it."""

    def __init__(self, oversight: Oversight) -> None:
        self._oversight = oversight

    def record(self, answered: Answered, challenge: Callable[[Manifest], int | None]) -> None:
        """Log `answered`, with the challenger's score where there is one; `challenge` scores the query with it.

        A challenger that raises is logged by its version without a score, which counts as failed. Raises nothing.
        """
        try:
            self._oversight.scores.record(self._challenged(answered, challenge))
        except Exception as error:
            # A full disk or a broken log costs a row of statistics; the bank's own inquiry log has the answer.
            log.warning("a score was answered but not recorded for monitoring: %s", type(error).__name__)

    def _challenged(self, answered: Answered, challenge: Callable[[Manifest], int | None]) -> Answered:
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
