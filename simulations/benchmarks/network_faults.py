"""What faults do to scores between real processes: how banks are answered meanwhile, and afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from federated.channel.own_socket import OwnNode
from federated.consent.record import Purpose
from federated.consent.uses import ANSWERED, Action
from federated.errors import FederatedError, NodeUnavailable
from simulations.local_network import faults
from simulations.local_network.faults import Meddled
from simulations.local_network.layout import Layout
from simulations.local_network.relay import doubled, held, swallowed
from simulations.local_network.replaying import replay_queries
from simulations.worlds.names import BANKS, GRIDS

BANK, OTHERS = BANKS[0], (*BANKS[1:], *GRIDS)
# Customers that are asked about in one fault: as many as a bank's node asks grid companies about at once.
ASKED = 8
HOUR = timedelta(hours=1)
# Delays of each message: one with which a score is still in time, and one with which it is not.
SHORT_S, LONG_S = 0.1, 3.0
Say = Callable[[str], None]
# A score if there is one, and what became of electricity data, or the code of a refusal.
Told = tuple[int | None, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done, what scores were meanwhile and afterwards, how many were wrong, and how many answers of grid
    companies were had by nobody's question, or by one that nobody may put."""

    name: str
    meanwhile: str
    afterwards: str
    wrong: int
    opened: int


@dataclass(slots=True)
class Done:
    """What a fault itself asked grid companies: how many queries of its own were answered, and messages again; and
    scores that it was told."""

    own: int = 0
    again: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault: what is done while it lasts, and whether grid companies may answer meanwhile."""

    name: str
    meanwhile: Callable[[Sequence[str]], AbstractContextManager[Done | None]]
    may_answer: bool = True


def asked(bank: OwnNode, subject: str) -> Told:
    """What a bank's node says of a customer."""
    question = {"subject": subject, "consent": f"CONS-{subject}", "purpose": Purpose.CREDIT_APPLICATION.value}
    try:
        answer = bank.ask("/score", question)
    except FederatedError as error:
        return None, error.code
    return answer.get("score"), answer.get("electricity", "no_file")


def measure_faults(
    layout: Layout, bank: OwnNode, subjects: Sequence[str], known: Mapping[str, Told], say: Say
) -> list[Fault]:
    """Each fault, with customers of its own: a grid company answers six times a month about one."""
    meddled = Meddled(layout, BANK)
    try:
        say("the bank and both grid companies start anew, with relays between them and clocks that can be set")
        meddled.start()
        kinds = _kinds(layout, meddled, known)
        found = []
        for number, kind in enumerate(kinds):
            say(f"fault: {kind.name}")
            found.append(measured(layout, bank, kind, subjects[number :: len(kinds)][:ASKED], known))
        return found
    finally:
        meddled.end()


def measured(layout: Layout, bank: OwnNode, kind: Kind, subjects: Sequence[str], known: Mapping[str, Told]) -> Fault:
    """One fault, by what the bank is told of these customers, of whom a network that is well says what is `known`."""
    before = _answers(layout, subjects)
    with kind.meanwhile(subjects) as done:
        meanwhile = _told(bank, subjects)
    afterwards, done = _told(bank, subjects), done or Done()
    may = done.own + len(subjects) * (2 if kind.may_answer else 1)
    opened = max(0, _answers(layout, subjects) - before - may) + done.again
    wrong = sum(
        how == "included" and (score, how) != known[subject]
        for told in (meanwhile, afterwards)
        for subject, (score, how) in zip(subjects, told, strict=True)
    )
    return Fault(kind.name, _shown(meanwhile), _shown(afterwards), wrong + done.wrong, opened)


def _told(bank: OwnNode, subjects: Sequence[str]) -> list[Told]:
    with ThreadPoolExecutor(len(subjects)) as pool:
        return list(pool.map(lambda subject: asked(bank, subject), subjects))


def _shown(told: Sequence[Told]) -> str:
    ways = [how for _, how in told]
    return ", ".join(f"{ways.count(how)} {how}" for how in sorted(set(ways)))


def _answers(layout: Layout, subjects: Sequence[str]) -> int:
    """How often grid companies answered the bank about these customers, as their logs of uses say."""
    return sum(
        (use["action"], use["organisation"], use["outcome"]) == (Action.SCORE, BANK, ANSWERED)
        for grid in GRIDS
        for subject in subjects
        for use in OwnNode(layout.of(grid)).ask("/customers/uses", {"subject": subject})["uses"]
    )


def _kinds(layout: Layout, meddled: Meddled, known: Mapping[str, Told]) -> list[Kind]:
    ended, strange = faults.over(layout), faults.of_another_network(layout)
    both = "both grid companies'"
    found = [
        Kind(f"{both} certificates are over", lambda _: meddled.certified(ended, *GRIDS), may_answer=False),
        Kind("the bank's certificate is over", lambda _: meddled.certified(ended, BANK), may_answer=False),
        Kind(
            f"{both} certificates are another network's", lambda _: meddled.certified(strange, *GRIDS), may_answer=False
        ),
        Kind(
            "the bank's certificate is another network's", lambda _: meddled.certified(strange, BANK), may_answer=False
        ),
        Kind(f"{both} clocks an hour ahead", lambda _: meddled.clocks_off(HOUR, *GRIDS), may_answer=False),
        Kind(f"{both} clocks an hour behind", lambda _: meddled.clocks_off(-HOUR, *GRIDS), may_answer=False),
        Kind("the bank's clock an hour ahead", lambda _: meddled.clocks_off(HOUR, BANK), may_answer=False),
        Kind("the bank's clock an hour behind", lambda _: meddled.clocks_off(-HOUR, BANK), may_answer=False),
    ]
    if meddled.relays:
        found += [
            Kind("messages dropped", lambda _: meddled.treated(swallowed), may_answer=False),
            Kind("answers dropped", lambda _: meddled.treated(back=swallowed)),
            Kind(f"messages delayed by {SHORT_S:g} s", lambda _: meddled.treated(held(SHORT_S))),
            Kind(f"messages delayed by {LONG_S:g} s", lambda _: meddled.treated(held(LONG_S))),
            Kind("connections' bytes doubled", lambda _: meddled.treated(doubled)),
            Kind("connections' bytes replayed", lambda _: _bytes_replayed(meddled)),
        ]
    found.append(Kind("messages sent twice and replayed", lambda some: _replayed(layout, some, known)))
    if layout.namespaces:
        # What was sent meanwhile arrives once they are back, unless its connection was given up.
        found.append(Kind(f"{both} cables out", lambda _: faults.cables_out(layout, *GRIDS)))
    # Whoever is killed comes back as it was, without relays.
    return [
        *found,
        Kind(f"{both} nodes do not answer", lambda _: faults.stopped(layout, *GRIDS)),
        Kind(f"{both} nodes killed", lambda _: faults.killed(layout, *GRIDS), may_answer=False),
        Kind("the bank's node killed", lambda _: faults.killed(layout, BANK), may_answer=False),
        Kind("all other nodes killed", lambda _: faults.killed(layout, *OTHERS), may_answer=False),
    ]


@contextmanager
def _bytes_replayed(meddled: Meddled) -> Iterator[None]:
    """What was sent on connections that stood before, sent again on new ones."""
    for relay in meddled.relays.values():
        # The longest has a whole connection: how it was made, and what was asked on it.
        relay.replay(bytes(max(relay.recorded, key=len, default=b"")))
    yield


@contextmanager
def _replayed(layout: Layout, subjects: Sequence[str], known: Mapping[str, Told]) -> Iterator[Done]:
    found = replay_queries(layout, BANK, BANKS[1], subjects)
    if len(found.scores) < len(subjects):
        raise NodeUnavailable("not every query that was sent twice was answered", node=BANK)
    wrong = sum(score != known[subject][0] for subject, score in found.scores.items())
    yield Done(len(subjects), found.answered_again, wrong)
