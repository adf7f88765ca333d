"""Who is a customer of the grid company? A bank that enters ids of its choosing into the private set intersection.

The bank does not follow the protocol: it wants to know of people who never dealt with it. It holds signed consents of
its own customers only, so for anybody else it has to make the element up: from the bare id, from a signature that it
made with a key of its own, or from one that it took from another customer's consent.

The operator has copies of consents, signatures and all, if they passed it or it got them from whoever holds some. With
these it can run the intersection itself, in the bank's name, and learn which of their subjects the grid company serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

# What turns a subject and a signature into an element, and what tells which of the entered elements matched.
Element = Callable[[str, bytes], bytes]
Exchange = Callable[[Sequence[bytes]], Set[bytes]]


@dataclass(frozen=True, slots=True)
class Probed:
    """What was learnt about `ids` probed subjects: members that were found, and AUC of found against member.

    0.5 is nothing. `false_positives` are ids that matched and are no member.
    """

    ids: int
    members_found: float
    false_positives: float
    auc: float


def with_bare_ids(ids: Sequence[str], exchange: Exchange) -> frozenset[str]:
    """The ids that matched when an element is nothing but an id."""
    entered = {subject.encode(): subject for subject in ids}
    return frozenset(entered[match] for match in exchange(list(entered)))


def with_made_up_signatures(
    ids: Sequence[str], made_up: Sequence[Callable[[str], bytes]], element: Element, exchange: Exchange
) -> frozenset[str]:
    """The ids that matched under any of several ways to make a signature up, all entered at once."""
    entered = {element(subject, make(subject)): subject for subject in ids for make in made_up}
    entered |= {subject.encode(): subject for subject in ids}
    return frozenset(entered[match] for match in exchange(list(entered)))


def with_copies(copies: Mapping[str, bytes], exchange: Exchange) -> frozenset[str]:
    """The subjects that matched of those whose elements somebody else's consents give away: subject to element."""
    entered = {member: subject for subject, member in copies.items()}
    return frozenset(entered[match] for match in exchange(list(entered)))


def probed(matched: Set[str], member: Mapping[str, bool]) -> Probed:
    """How well `matched` tells members from others; `member` says of each probed id whether it is one."""
    members = [subject for subject, is_one in member.items() if is_one]
    others = [subject for subject, is_one in member.items() if not is_one]
    hit = sum(subject in matched for subject in members) / len(members)
    false = sum(subject in matched for subject in others) / len(others)
    return Probed(len(member), hit, false, 0.5 + (hit - false) / 2)
