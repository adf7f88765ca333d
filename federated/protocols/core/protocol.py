"""What a protocol is: what it needs, what a node answers in it, and what the operator makes of the answers.

A protocol is a frozen value whose fields are its settings. `federated.protocols.catalogue` lists them all; the
operator's and the nodes' apps ask the protocol and know none by name.

Two kinds share the interface. A *vertical* protocol trains banks and grid companies over customers whom both know: at a
node it finds the session that is open, it holds out one fold at a time, and what it returns can be registered. A
*horizontal* protocol trains banks over the same columns of different customers: at a node it finds that bank's own side
of the protocol, which decides what to answer, and what it returns is a run of its own kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, TypeVar

from flwr.clientapp import ClientApp

from federated.models.encoding.public_ranges import PublicTable
from federated.models.served.metrics import Metrics
from federated.nodes.identity import Identity
from federated.nodes.schema import FeatureSchema
from federated.protocols.core.candidates import Candidate
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
    """One fold to hold out. `at_us` is the instant that consents are checked at (µs since 1970, UTC).

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
    """One trained fold of one protocol: candidates by name, those with exact reasons first, and their one companion.

    `cost` is by name, the companion's among them.
    """

    candidates: dict[str, Candidate]
    companion: str
    companion_metrics: Metrics
    references: References
    cost: dict[str, Cost]


class VerticalProtocol(TrainingProtocol[Opened, FoldTask, FoldReport], Protocol):
    """A protocol whose candidates can be registered. `privacy` is what their manifests state.

    `averages` says whether nodes train networks that a strategy averages.
    """

    privacy: ClassVar[str]
    averages: ClassVar[bool]

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
