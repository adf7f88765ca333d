"""The one place where parts are put together: database, writer, federated network, clock and ids."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection, Engine

from credit_api.app.database import migrate
from credit_api.app.earlier_loans import open_earlier_loans
from credit_api.app.file_modes import take_from_others
from credit_api.app.readings_move import move_readings
from credit_api.app.settings import Limits, Settings
from credit_api.app.signers import FileSigner, register_kept
from credit_api.audit.trail import AuditTrail
from credit_api.certificates.authority import Authority
from credit_api.http.auth.known_keys import KnownKeys
from credit_api.http.auth.passwords import Sealer
from credit_api.http.auth.principal import Principal
from credit_api.http.feeds import Feeds
from credit_api.http.rates import Rates
from credit_api.identity.published_list import PublishedList
from federated.consent.record import ConsentRecord
from federated.consent.revocations import Revocations
from financing.base.context import Actor, Context
from financing.base.parameters import Parameters, load_parameters
from financing.base.signing import Signer
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer
from financing.lending.unit import UnitOfWork
from financing.market.order_book.cache import OrderBooks
from financing.registry.metering.node.stores import GridNodes
from financing.registry.methodology.definition import compiled

if TYPE_CHECKING:
    from credit_api.nodes.metering import RemoteMetering
    from federated.governance.versions import Governance
    from federated.serving import Network


def system_clock() -> datetime:
    return datetime.now(UTC)


def random_id(prefix: str) -> str:
    """A fresh id: what it names, and 80 random bits."""
    return f"{prefix}_{secrets.token_hex(10)}"


class SubjectSigner(Protocol):
    """Signs as a customer, which nobody but the customer can: there is one in a sandbox only."""

    def sign(self, draft: ConsentRecord) -> ConsentRecord:
        """The draft under the key of the subject it names, with an attestation of that key."""
        ...

    def grid_of(self, subject_id: str) -> str:
        """The grid company that serves the subject; empty if none of this network does."""
        ...


@dataclass(slots=True)
class Parts:
    """What requests use. Clock and ids are here so that tests and replays can set them."""

    settings: Settings
    engine: Engine
    writer: Writer[UnitOfWork]
    parameters: Parameters
    signer: Signer
    authority: Authority
    nodes: GridNodes
    audit: AuditTrail
    sealer: Sealer
    clock: Callable[[], datetime] = system_clock
    new_id: Callable[[str], str] = random_id
    subject_signer: SubjectSigner | None = None
    order_books: OrderBooks = field(default_factory=OrderBooks)
    known_keys: KnownKeys = field(default_factory=KnownKeys)
    feeds: Feeds = field(default_factory=Feeds)
    rates: Rates = field(default_factory=lambda: Rates(Limits()))
    _network: Network | None = field(default=None, repr=False)
    _governance: Governance | None = field(default=None, repr=False)
    _listed: PublishedList | None = field(default=None, repr=False)
    _gate: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _closed: bool = field(default=False, repr=False)

    @property
    def network(self) -> Network:
        """The federated network, opened at first use. Raises `DataMissing` while no node store exists yet."""
        with self._gate:
            if self._network is None:
                # Most commands ask no federated network, which takes longer to load than they do.
                from federated.serving import Network  # noqa: PLC0415

                self._network = Network.open(self.settings.network_home, self._now)
            return self._network

    @property
    def governance(self) -> Governance | None:
        """The register of models that this service has, its network's or a copy; None where there is none."""
        home = self.settings.network_home
        with self._gate:
            if self._governance is None and (home / "registry").is_dir():
                from federated.governance.model_registry import ModelRegistry  # noqa: PLC0415 (as above)
                from federated.governance.versions import Governance  # noqa: PLC0415

                self._governance = Governance(home, ModelRegistry(home))
            return self._governance

    @property
    def identity_authority(self) -> bytes:
        """The public key of who attests subjects' keys: as it is set, or as this service's nodes pin it.

        Raises `DataMissing` where neither is.
        """
        if self.settings.identity_authority:
            return bytes.fromhex(self.settings.identity_authority)
        return self.network.authority

    def ended_keys(self) -> Revocations | None:
        """The identity authority's list of ended keys; None where no address of it is set.

        Raises `NodeUnavailable`, `ConsentSignatureInvalid`: nothing that a subject signed is believed then.
        """
        if not self.settings.identity_url:
            return None
        authority = self.identity_authority
        with self._gate:
            if self._listed is None:
                roots = self.settings.identity_roots
                self._listed = PublishedList(self.settings.identity_url, authority, self._now, roots)
        return self._listed.current()

    def _now(self) -> datetime:
        # The clock of the day: a replay may have set another since the network was opened.
        return self.clock()

    def context(self, principal: Principal) -> Context:
        return Context(
            actor=Actor(principal.organisation_id, principal.kind, principal.roles, principal.works),
            at=self.clock(),
            new_id=self.new_id,
            parameters=self.parameters,
            signer=self.signer,
            nodes=self.nodes,
            person=principal.person,
        )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A consistent read-only snapshot of the books."""
        with self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                self.audit.close(self.clock())
            finally:
                self._release()

    def _release(self) -> None:
        self.writer.close()
        self.nodes.close()
        if self._network is not None:
            self._network.close()
        self.engine.dispose()


def _elsewhere(home: Path, grid_id: str, url: str) -> RemoteMetering:
    """A grid company's node in a process of its own, asked by the key and certificate in this service's home."""
    # Few services ask nodes elsewhere, which take a second to load.
    from credit_api.nodes.metering import RemoteMetering  # noqa: PLC0415
    from federated.channel.node_keys import NodeKeys  # noqa: PLC0415

    return RemoteMetering(NodeKeys(home), grid_id, url)


def assemble(settings: Settings) -> Parts:
    """Open everything `settings` points at, and bring the database's schema up to date."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    take_from_others(settings.home)
    engine = open_engine(settings.url)
    migrate(engine)
    parameters = load_parameters(more_methodologies=settings.methodologies)
    for file in parameters.methodologies:
        compiled(file)
    writer = Writer(engine, UnitOfWork)
    signer = FileSigner(settings.home / "signing", for_others=settings.sandbox)
    parts = Parts(
        settings=settings,
        engine=engine,
        writer=writer,
        parameters=parameters,
        signer=signer,
        authority=Authority(settings.home / "signing" / "documents"),
        nodes=GridNodes(settings.home / "grid-nodes", settings.grid_nodes, partial(_elsewhere, settings.home)),
        audit=AuditTrail(writer),
        rates=Rates(settings.limits),
        known_keys=KnownKeys(sandbox=settings.sandbox),
        sealer=Sealer(settings.home / "seal.key"),
    )
    register_kept(writer, signer, parts.clock())
    # What the first version took unsigned, its successor vouches for, in a sandbox or not.
    vouching = FileSigner(settings.home / "signing", for_others=True)
    move_readings(parts.writer, parts.nodes, vouching, parts.clock())
    open_earlier_loans(parts.writer, parameters, parts.clock())
    return parts
