"""Grid companies' nodes elsewhere are asked before a claim is committed: a slow one holds up no other command."""

from __future__ import annotations

from dataclasses import dataclass, replace

from credit_api.app.wiring import Parts
from financing.base.commands import Given
from financing.base.context import Context
from financing.base.errors import GridNodeUnavailable
from financing.lending.unit import UnitOfWork
from financing.registry.metering.node.port import MeteringNode, MeteringNodes
from financing.registry.metering.node.statement import Question, Stated
from financing.registry.verification.commands import SubmitPeriod, questions_of, submit_period
from financing.registry.verification.monitoring import MonitoringPeriod


@dataclass(frozen=True, slots=True)
class _Answered:
    """A node elsewhere that has answered: nothing more is asked of it while a command is committed."""

    said: dict[str, Stated]

    def statement(self, question: Question) -> Stated:
        """What it said to this question. Raises `GridNodeUnavailable` for another one."""
        said = self.said.get(question.sha256())
        if said is None:
            raise GridNodeUnavailable("the books changed while the grid company answered: claim again")
        return said


@dataclass(frozen=True, slots=True)
class _AnsweredNodes:
    nodes: MeteringNodes
    answered: _Answered

    def of(self, grid_id: str) -> MeteringNode | _Answered:
        return self.nodes.of(grid_id) if self.is_here(grid_id) else self.answered

    def is_here(self, grid_id: str) -> bool:
        return self.nodes.is_here(grid_id)


def claimed(parts: Parts, context: Context, command: SubmitPeriod) -> Given[UnitOfWork, MonitoringPeriod]:
    """The claim, once nodes elsewhere have stated its meters.

    Raises `ReadingRejected`, `GridNodeUnavailable` and what `questions_of` refuses; of nodes here it asks nothing.
    """
    with parts.reading() as connection:
        asked = [
            (meter.measured_by, question)
            for meter, question in questions_of(UnitOfWork(connection), context, command)
            if not parts.nodes.is_here(meter.measured_by)
        ]
    said = {question.sha256(): parts.nodes.of(grid_id).statement(question) for grid_id, question in asked}
    given = submit_period.given(command)
    return given.within(lambda at: replace(at, nodes=_AnsweredNodes(parts.nodes, _Answered(said)))) if said else given
