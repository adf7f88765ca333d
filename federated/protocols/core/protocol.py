"""What a protocol is: what it needs, what a node answers in it, and what the operator makes of the answers.

A protocol is a frozen value whose fields are its settings. `federated.protocols.catalogue` lists them all; the
operator's and the nodes' apps ask the protocol and know none by name.

Two kinds share the interface. A *vertical* protocol trains banks and grid companies over customers whom both know: at a
node it finds the session that is open, it holds out one fold at a time, and what it returns can be registered. A
*horizontal* protocol trains banks over the same columns of different customers: at a node it finds that bank's own side
of the protocol, which decides what to answer, and what it returns is a run of its own kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, TypeVar

from flwr.clientapp import ClientApp

from federated.models.encoding.public_ranges import PublicTable
from federated.nodes.identity import Identity
from federated.nodes.schema import FeatureSchema
from federated.protocols.core.candidates import Candidate, HeldOut, Measured
from federated.protocols.core.cost import Cost
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.references import References
from federated.protocols.core.session import Progress
from federated.protocols.core.session_app import Opened

COMPANION = "bank_only"

NodeT_contra = TypeVar("NodeT_contra", contravariant=True)
TaskT_contra = TypeVar("TaskT_contra", contravariant=True)
ResultT_co = TypeVar("ResultT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be there before anybody trains. Labels are always the banks' own, and stay there.

    `alignment`: customers matched between banks and grid companies; `public_ranges`: columns whose ranges are agreed in
    advance; `budget`: a privacy budget that each bank has granted in a ledger of its own.
    """

    alignment: bool = False
    public_ranges: bool = False
    budget: bool = False


class TrainingProtocol(Protocol[NodeT_contra, TaskT_contra, ResultT_co]):
    """One way to train. `name` is what the command line and reports call it."""

    name: ClassVar[str]
    needs: ClassVar[Needs]

    def add_to(self, app: ClientApp, node: NodeT_contra, identity: Identity, /) -> None:
        """Let a node's app answer this protocol's messages. Which settings a run has, messages say."""
        ...

    def train(self, board: Switchboard, task: TaskT_contra, /) -> ResultT_co:
        """The operator's side of one run. Raises what a node refuses with, `TrainingFailed`, `AggregationFailed`."""
        ...


@dataclass(frozen=True, slots=True)
class FoldTask:
    """One fold to hold out, or `rows.NOBODY`. `at_us` is the instant that consents are checked at (µs since 1970, UTC).

    `cut_off` is the lowest score that is approved, for figures by segment.
    """

    fold: int
    at_us: int
    cut_off: int
    schema: FeatureSchema
    progress: Progress

    @property
    def companions_progress(self) -> Progress:
        """Where the bank-only companion's rounds are shown."""
        return lambda name, number, loss: self.progress(f"{COMPANION} {name}", number, loss)


@dataclass(frozen=True, slots=True)
class FoldReport:
    """One fold of one protocol: what is known of customers held out of its models by name, those with exact reasons
    first and their one companion last, and what each cost."""

    held_out: dict[str, HeldOut]
    companion: str
    cost: dict[str, Cost]


def measured_folds(reports: Sequence[FoldReport]) -> list[dict[str, Measured]]:
    """Figures of each fold's models by name, calibrated by the other folds where the protocol calibrates so."""
    return [
        {
            name: own.measured([other.held_out[name] for other in reports if other is not report])
            for name, own in report.held_out.items()
        }
        for report in reports
    ]


@dataclass(frozen=True, slots=True)
class Refit:
    """What a protocol came to with nobody held out: candidates by name, and how all training rows fell into bins."""

    candidates: dict[str, Candidate]
    references: References


class VerticalProtocol(TrainingProtocol[Opened, FoldTask, FoldReport], Protocol):
    """A protocol whose models can be registered: `train` measures them on a fold held out, `refit` fits them again with
    everybody, for the registry. `privacy` is what their manifests state.

    `averages` says whether nodes train networks that a strategy averages.
    """

    privacy: ClassVar[str]
    averages: ClassVar[bool]

    def refit(
        self, board: Switchboard, task: FoldTask, folds: Sequence[FoldReport], offers: Mapping[str, str], /
    ) -> Refit:
        """The models of `train`, which gave `folds`, fitted with nobody held out; `offers` (`candidates.offered`) by
        name."""
        ...

    def seeded(self, seed: int) -> Self:
        """The same settings, and this seed."""
        ...

    def averaged_by(self, strategy: str) -> Self:
        """The same settings, and this strategy for networks, where there are any. Raises `TrainingFailed`."""
        ...

    def config(self) -> dict[str, object]:
        """The settings as plain values, for reports and manifests."""
        ...


@dataclass(frozen=True, slots=True)
class BanksTask:
    """Banks that hold the columns of one table, whose public ranges all know."""

    table: PublicTable
    banks: tuple[str, ...]
