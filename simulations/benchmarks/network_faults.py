"""What faults do to scores between real processes: what is answered meanwhile and afterwards, and what was wrong."""

from __future__ import annotations

import base64
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from federated.channel.authority import NetworkAuthority
from federated.channel.client import Channel
from federated.channel.node_keys import CERTIFICATE, REQUEST, REVOKED, TRUST, NodeKeys
from federated.channel.own_socket import OwnNode
from federated.consent.record import Purpose
from federated.errors import FederatedError, NodeUnavailable
from simulations.local_network import namespaces
from simulations.local_network.bringing_up import node_process, start_nodes
from simulations.local_network.building import CA, PASSPHRASE
from simulations.local_network.layout import Layout
from simulations.local_network.processes import Processes
from simulations.local_network.relay import Relay, Way
from simulations.worlds.names import BANKS, GRIDS

BANK = BANKS[0]
ASKED, HOUR = 12, 3_600.0
# How long a node may take to answer its own organisation.
ANSWERS_S = 30.0
Say = Callable[[str], None]
Told = tuple[int | None, str]
Done = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done, what scores were meanwhile and afterwards, and how many were wrong."""

    name: str
    meanwhile: str
    afterwards: str
    wrong: int


def asked(bank: OwnNode, subject: str) -> Told:
    """A customer's score and how electricity data took part; None and the code of a refusal."""
    question = {"subject": subject, "consent": f"CONS-{subject}", "purpose": Purpose.CREDIT_APPLICATION.value}
    try:
        answer = bank.ask("/score", question)
    except FederatedError as error:
        return None, error.code
    return answer.get("score"), answer.get("electricity", "no_file")


def faults_of(layout: Layout, bank: OwnNode, subjects: Sequence[str], known: dict[str, Told], say: Say) -> list[Fault]:
    """One fault after the other, each ended before the next. `known` is what the healthy network answers."""
    return _Faults(layout, bank, subjects, known, say).all()


@dataclass(slots=True)
class _Faults:
    layout: Layout
    bank: OwnNode
    subjects: Sequence[str]
    known: dict[str, Told]
    say: Say
    _asked: int = 0

    def all(self) -> list[Fault]:
        others = (*BANKS[1:], *GRIDS)
        apart = self.layout.namespaces
        return [
            *([self._tried("both grid companies' cables out", self._cable(True), self._cable(False))] if apart else []),
            self._tried("both grid companies' nodes killed", self._kill(*GRIDS), self._back(*GRIDS)),
            self._tried(
                "both grid companies' nodes do not answer",
                self._signalled(signal.SIGSTOP),
                self._signalled(signal.SIGCONT),
            ),
            self._tried("the bank's node killed", self._kill(BANK), self._back(BANK)),
            self._tried("all other nodes killed", self._kill(*others), self._back(*others)),
            *self._certificates(),
            *self._clocks(),
            *([] if apart else self._cable_faults()),
            self._sent_again(),
        ]

    def _tried(self, name: str, begin: Done, end: Done) -> Fault:
        self.say(f"fault: {name}")
        begin()
        try:
            among, meanwhile = self._told()
        finally:
            end()
        _, afterwards = self._told(among)
        wrong = self._wrong(among, meanwhile) + self._wrong(among, afterwards)
        return Fault(name, _shown(meanwhile), _shown(afterwards), wrong)

    def _told(self, among: Sequence[str] | None = None) -> tuple[Sequence[str], list[Told]]:
        """What some customers are told. A bank is answered six times a month about each: every fault asks others."""
        if among is None:
            first = self._asked % (len(self.subjects) - ASKED)
            among = self.subjects[first : first + ASKED]
            self._asked += ASKED // 2
        return among, [asked(self.bank, subject) for subject in among]

    def _wrong(self, among: Sequence[str], found: Sequence[Told]) -> int:
        """Scores that say they are joint, and are not those of the healthy network."""
        return sum(
            how == "included" and (score, how) != self.known[subject]
            for subject, (score, how) in zip(among, found, strict=True)
        )

    # processes

    @property
    def _processes(self) -> Processes:
        return Processes(self.layout.home)

    def _kill(self, *names: str) -> Done:
        def done() -> None:
            for name in names:
                os.kill(self._pid(name), signal.SIGKILL)
                while self._processes.running(name) is not None:
                    time.sleep(0.02)

        return done

    def _back(self, *names: str) -> Done:
        def done() -> None:
            for name in names:
                node_process(self.layout, self._processes, name)
            start_nodes(self.layout, lambda _: None)

        return done

    def _signalled(self, number: signal.Signals) -> Done:
        def done() -> None:
            for name in GRIDS:
                os.kill(self._pid(name), number)

        return done

    def _cable(self, off: bool) -> Done:
        def done() -> None:
            for name in GRIDS:
                namespaces.cut(self.layout, name, off=off)

        return done

    def _pid(self, name: str) -> int:
        running = self._processes.running(name)
        if running is None:
            raise NodeUnavailable(f"{name} does not run", node=name)
        return running.pid

    def _answers(self, name: str) -> None:
        """Wait until a node answers its own organisation, whoever it has met."""
        until = time.monotonic() + ANSWERS_S
        while time.monotonic() < until:
            try:
                OwnNode(self.layout.of(name)).ask("/standing")
            except NodeUnavailable:
                time.sleep(0.1)
            else:
                return
        raise NodeUnavailable(f"{name} did not start", node=name)

    # certificates

    def _certificates(self) -> list[Fault]:
        now = datetime.now(UTC)
        return [
            self._tried(
                "the grid companies' certificates are over",
                lambda: self._certified(now - timedelta(days=31), now - timedelta(days=30)),
                self._restored,
            ),
            self._tried("the grid companies' certificates are of another network", self._foreign, self._restored),
        ]

    def _certified(self, since: datetime, at: datetime) -> None:
        """New certificates of the same keys by the network's own authority, that hold from `since` for a month."""
        authority = NetworkAuthority(self.layout.home / CA)
        word = (self.layout.home / PASSPHRASE).read_text("utf-8")
        self._kill(*GRIDS)()
        for name in GRIDS:
            keys = NodeKeys(self.layout.of(name))
            pem = authority.certify((keys.folder / REQUEST).read_bytes(), word, since).public_bytes(Encoding.PEM)
            keys.install(pem, authority.trust_pem, authority.revoked_pem, at)
        for name in GRIDS:
            node_process(self.layout, self._processes, name)
        for name in GRIDS:
            self._answers(name)

    def _foreign(self) -> None:
        """Certificates that say the same of the same keys, by an authority that the others do not trust."""
        self._kill(*GRIDS)()
        with tempfile.TemporaryDirectory(prefix="tanxin-ca-") as folder:
            word, at = "of another network", datetime.now(UTC)
            other = NetworkAuthority.create(Path(folder) / CA, "another", word, at)
            for name in GRIDS:
                keys = NodeKeys(self.layout.of(name))
                pem = other.certify((keys.folder / REQUEST).read_bytes(), word, at).public_bytes(Encoding.PEM)
                for file, content in ((TRUST, other.trust_pem), (REVOKED, other.revoked_pem), (CERTIFICATE, pem)):
                    (keys.folder / file).write_bytes(content)
        for name in GRIDS:
            node_process(self.layout, self._processes, name)
        for name in GRIDS:
            self._answers(name)

    def _restored(self) -> None:
        authority = NetworkAuthority(self.layout.home / CA)
        for name in GRIDS:
            folder = NodeKeys(self.layout.of(name)).folder
            (folder / TRUST).write_bytes(authority.trust_pem)
            (folder / REVOKED).write_bytes(authority.revoked_pem)
        now = datetime.now(UTC)
        self._certified(now, now)
        self._back(*GRIDS)()

    # clocks

    def _clocks(self) -> list[Fault]:
        found = []
        for who, names in (("the bank's clock", (BANK,)), ("the grid companies' clocks", GRIDS)):
            for way, seconds in (("an hour fast", HOUR), ("an hour slow", -HOUR)):
                found.append(self._tried(f"{who} {way}", self._shifted(names, seconds), self._again(names)))
        return found

    def _shifted(self, names: Sequence[str], seconds: float) -> Done:
        def done() -> None:
            self._kill(*names)()
            for name in names:
                node_process(self.layout, self._processes, name, shift_s=seconds)
            for name in names:
                self._answers(name)

        return done

    def _again(self, names: Sequence[str]) -> Done:
        def done() -> None:
            self._kill(*names)()
            self._back(*names)()

        return done

    # what goes over a cable

    def _cable_faults(self) -> list[Fault]:
        relays = {name: Relay((self.layout.hosts[name], self.layout.ports[name])) for name in GRIDS}
        over = {name: relay.url for name, relay in relays.items()}

        def spoil(way: Way) -> Done:
            def done() -> None:
                for relay in relays.values():
                    relay.way = way

            return done

        self._kill(BANK)()
        node_process(self.layout, self._processes, BANK, peers=over)
        try:
            start_nodes(self.layout, lambda _: None)
            self._told()
            found = [
                self._tried("every part to grid companies is a tenth of a second late", spoil("late"), spoil("whole")),
                self._tried("messages to grid companies are cut off in the middle", spoil("cut"), spoil("whole")),
            ]
            replayed = b"".join(relay.replay() for relay in relays.values())
            plain = b"HTTP/1.1" in replayed
            among, after = self._told()
            told = "an answer in clear" if plain else f"{len(replayed):,} bytes of handshakes and alerts, no answer"
            found.append(
                Fault(
                    "recorded connections are sent again", told, _shown(after), self._wrong(among, after) + int(plain)
                )
            )
        finally:
            for relay in relays.values():
                relay.close()
            self._again((BANK,))()
        return found

    def _sent_again(self) -> Fault:
        """The first message of a query, well formed and by the bank's own certificate, sent twice: a number is taken
        once."""
        name = "a bank's message is sent twice"
        self.say(f"fault: {name}")
        channel = Channel(NodeKeys(self.layout.of(BANK)), GRIDS[0], self.layout.url(GRIDS[0]))
        try:
            begun = channel.post("/begin", json.dumps({"count": 1}).encode())
            (nonce,) = json.loads(begun)["nonces"]
            subject, nothing = self.subjects[0], base64.b64encode(bytes(32)).decode()
            query = {
                "bank_id": BANK,
                "subject_id": subject,
                "consent_id": f"CONS-{subject}",
                "purpose": Purpose.CREDIT_APPLICATION.value,
                "at": datetime.now(UTC).isoformat(),
                "model": str(self.bank.ask("/standing")["champion"]),
            }
            message = {"query": query, "explained": False, "nonce": nonce, "bank_nonce": nothing, "dealt": nothing}
            codes = [self._code(channel, json.dumps(message).encode()) for _ in range(2)]
        finally:
            channel.close()
        among, after = self._told()
        return Fault(name, ", ".join(codes), _shown(after), self._wrong(among, after) + ("answered" in codes))

    @staticmethod
    def _code(channel: Channel, message: bytes) -> str:
        try:
            channel.post("/first", message)
        except FederatedError as error:
            return error.code
        return "answered"


def _shown(told: Sequence[Told]) -> str:
    ways = [how for _, how in told]
    return ", ".join(f"{ways.count(how)} {how}" for how in sorted(set(ways)))
