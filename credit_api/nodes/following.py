"""An exchange's copy of the network's register of models: what banks' nodes tell of versions and of their decisions.

Guarantee: a version is entered once two of the banks decided about one and the same manifest (one, where there is no
other), and what a bank decided only by its own word, over mutual TLS with its pinned key. Threat model: a bank that
tells of a version which the others do not know, or of another one under a known name. Not covered: banks that do so
together; and that an approval ended is heard at the next round, or when the bank answers again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from credit_api.nodes.complaints import Complaints, Say
from credit_api.nodes.messages import Decisions, Done, Message, Version, VersionAsked
from credit_api.nodes.register import Register
from credit_api.nodes.service import MOST_VERSION_BYTES
from federated.channel.client import MOST_BYTES, Channel
from federated.channel.node_keys import NodeKeys
from federated.errors import ChannelRefused, FederatedError, ModelCorrupt, NodeUnavailable
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance

ROUND_S = 10.0
# Base64 has four thirds of the bytes.
MOST_ANSWER = 2 * MOST_VERSION_BYTES
Answer = TypeVar("Answer", bound=Message)


class Following:
    """The register under `network_home`, of an exchange whose key and certificate lie in `home`."""

    def __init__(self, home: Path, network_home: Path, banks: Mapping[str, str], now: Callable[[], datetime]) -> None:
        """`banks` are URLs by name. Raises `ChannelRefused` for a home that is no exchange's, or without banks."""
        self._keys = NodeKeys(home)
        party = self._keys.standing(now()).party
        if party.kind != "exchange":
            raise ChannelRefused(f"this certificate is of {party.name}, a {party.kind}, and not of an exchange")
        if not banks:
            raise ChannelRefused("an exchange follows banks, and none is named")
        self._governance = Governance(network_home, ModelRegistry(network_home))
        self._register = Register(network_home, self._governance, now, party.name, lambda: set(banks), self._keys)
        self._channels = {name: Channel(self._keys, name, url) for name, url in sorted(banks.items())}
        self._told: dict[str, Decisions] = {}
        self._about: dict[str, set[tuple[str, str]]] = {}
        self._complaints = Complaints()

    def follow(self, stopped: threading.Event, say: Say) -> None:
        """Round after round, until `stopped`."""
        stamp = self._keys.stamp()
        while not stopped.is_set():
            if (now := self._keys.stamp()) != stamp:
                stamp = now
                for name, channel in self._channels.items():
                    self._tried(name, channel.reload, say)
            self.round(say)
            stopped.wait(ROUND_S)

    def round(self, say: Say = lambda _: None) -> None:
        """Ask every bank, and enter what is new. Which bank does not answer is said once; it is asked again."""
        heard = [name for name in self._channels if self._tried(name, partial(self._ask_decisions, name), say)]
        for name in self._told:
            if self._tried(name, partial(self._enter, name, say), say) and name in heard:
                self._complaints.ended(name)

    def _ask_decisions(self, bank: str) -> None:
        told = self._asked(bank, "/decisions", Done(), Decisions)
        if self._channels[bank].party.kind != "bank":
            raise ChannelRefused(f"{bank} is no bank")
        self._told[bank] = told
        self._about[bank] = {(each.version, each.manifest_sha256) for each in told.decided}

    def _enter(self, bank: str, say: Say) -> None:
        told = self._told[bank]
        known = set(self._governance.lifecycle().versions)
        for version, sha256 in sorted(self._about[bank]):
            if version not in known and self._agreed(version, sha256):
                # A version that may not be entered here holds up no other decision of the bank's.
                take = partial(self._take, bank, version, sha256)
                if self._tried(f"{bank}, {version}", take, say):
                    say(f"{version} is registered, as {bank} has it")
                    known.add(version)
        self._register.catch_up(told, bank)

    def _agreed(self, version: str, sha256: str) -> bool:
        """Whether enough banks decided about this manifest: no bank introduces a version alone where there are more."""
        banks = sum((version, sha256) in about for about in self._about.values())
        return banks >= min(2, len(self._channels))

    def _take(self, bank: str, version: str, sha256: str) -> None:
        told = self._asked(bank, "/version/known", VersionAsked(version=version), Version, MOST_ANSWER)
        if hashlib.sha256(told.manifest).hexdigest() != sha256:
            raise ModelCorrupt(f"{bank} decided about another {version} than it has", version=version)
        self._register.copy(told)

    def _asked(self, bank: str, path: str, message: Message, answer: type[Answer], most: int = MOST_BYTES) -> Answer:
        content = self._channels[bank].post(path, message.model_dump_json().encode(), most=most)
        try:
            return answer.model_validate_json(content)
        except ValidationError as error:
            raise NodeUnavailable(f"{bank} does not answer as nodes do", node=bank) from error

    def _tried(self, bank: str, what: Callable[[], None], say: Say) -> bool:
        try:
            what()
        except FederatedError as error:
            self._complaints.of(bank, error.code, error.detail, say)
        except Exception as error:  # whatever a bank answers, others are still asked
            self._complaints.of(bank, type(error).__name__, type(error).__name__, say)
        else:
            return True
        return False

    def close(self) -> None:
        """Close connections."""
        for channel in self._channels.values():
            channel.close()
