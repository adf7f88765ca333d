"""What banks of a run tell each other, sealed, of the customers that they fit, before anything is opened over them.

The operator, which names folds and passes on what grid companies say that they may use, has no say in it: it sees
neither the counts nor how far a run is from earlier ones, and a bank that does not hear from all others opens nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from federated.errors import TooFewRows, TrainingFailed
from federated.nodes.row_sets import LEAST_APART, Apart, Digests
from federated.privacy.vertical.ring import Ring
from federated.protocols.core.messages import Content
from federated.protocols.core.rows import BankRows
from federated.protocols.protected.state import FIT, HELD_OUT, SET_ASIDE, Marks, ProtectedNode

PURPOSES = (FIT, SET_ASIDE, HELD_OUT)
_HEAD, _EARLIER = 1 + len(PURPOSES), 1 + 3 * len(PURPOSES)


@dataclass(frozen=True, slots=True)
class Told:
    """What one bank says: a number that it drew, its rows by purpose, and how far they are from each earlier run's."""

    drawn: int
    counts: tuple[int, ...]
    apart: Mapping[int, Apart]

    def numbers(self) -> Ring:
        """As one row of numbers, which `told_of` reads back."""
        rows = [(number, *a.together, *a.then, *a.apart) for number, a in self.apart.items()]
        return np.array([self.drawn, *self.counts, *(n for row in rows for n in row)], dtype=np.uint64)


def told_of(numbers: Ring) -> Told:
    """Read back what a bank said. Raises `TrainingFailed` for anything else."""
    if len(numbers) < _HEAD or (len(numbers) - _HEAD) % _EARLIER:
        raise TrainingFailed(f"a bank told {len(numbers)} numbers of the customers that it fits")
    head, earlier = numbers[:_HEAD].tolist(), numbers[_HEAD:].reshape(-1, _EARLIER).tolist()
    each = len(PURPOSES)
    found = {
        row[0]: Apart(tuple(row[1 : 1 + each]), tuple(row[1 + each : 1 + 2 * each]), tuple(row[1 + 2 * each :]))
        for row in earlier
    }
    return Told(head[0], tuple(head[1:]), found)


@dataclass(frozen=True, slots=True)
class OwnRows:
    """One bank's rows of a run, and what it tells the others of them."""

    rows: BankRows
    own: tuple[Digests, ...]
    told: Told

    @staticmethod
    def of(state: ProtectedNode) -> OwnRows:
        """Of a bank, once marks are known."""
        rows = state.node.rows
        if not isinstance(rows, BankRows):
            raise TrainingFailed(f"{rows.org_id} is no bank")
        if not state.marks:
            raise TrainingFailed(f"{rows.org_id} was not told what its customers are for")
        at = [np.concatenate([state.rows(peer, purpose) for peer in sorted(state.marks)]) for purpose in PURPOSES]
        counts = tuple(len(each) for each in at)
        if rows.row_sets is None:
            return OwnRows(rows, (), Told(secrets.randbits(64), counts, {}))
        own = tuple(rows.digests[each] for each in at)
        return OwnRows(rows, own, Told(secrets.randbits(64), counts, rows.row_sets.apart(own)))

    def begin_with(self, others: Sequence[Told]) -> None:
        """Agree to open sums. Raises `TooFewRows` where all banks fit fewer rows than this one allows, `RowsTooAlike`
        where the run is nearly an earlier one, or one too many."""
        everybody, least = [self.told, *others], self.rows.least_rows
        together = sum(told.counts[0] for told in everybody)
        if together < least:
            customers = f"trains on {least:,} customers in common at least, not on {together:,}"
            why = "of fewer, labels can be told from what is opened"
            raise TooFewRows(f"{self.rows.org_id} {customers}: {why}", least=least)
        if self.rows.row_sets is None:
            return
        least_of_banks = min(LEAST_APART, self.rows.least_rows)
        if self.rows.alone_sets is not None:
            self.rows.alone_sets.require_far(self.own[0], least_of_banks)
        # Drawn by all banks, so that no run can be given the number of another.
        drawn = b"".join(each.to_bytes(8, "big") for each in sorted(told.drawn for told in everybody))
        self.rows.row_sets.begin(
            int.from_bytes(hashlib.sha256(drawn).digest()[:8], "big"),
            self.own,
            [told.counts for told in everybody],
            [told.apart for told in everybody],
            (min(self.rows.least_apart, together), least_of_banks, least_of_banks),
        )


def alone(state: ProtectedNode, content: Content) -> Marks:
    """Of a bank in a run of banks alone: what each row is for, (rows,), remembered before anything is opened.

    Raises `RowsTooAlike` where it is nearly an earlier run, of banks alone or with grid companies, or one too many.
    """
    purposes = state.purposes(content.number("set_aside"), content.integer("seed"))
    if not state.enough and isinstance(state.node.rows, BankRows):
        _begin_alone(state.node.rows, purposes)
        state.enough = True
    return purposes


def _begin_alone(rows: BankRows, purposes: Marks) -> None:
    if rows.alone_sets is None:
        return
    own, least = tuple(rows.digests[purposes == purpose] for purpose in PURPOSES), min(LEAST_APART, rows.least_rows)
    if rows.row_sets is not None:
        rows.row_sets.require_far(own[0], least)
    counts = [len(part) for part in own]
    rows.alone_sets.begin(secrets.randbits(64), own, [counts], [rows.alone_sets.apart(own)], [least] * len(own))
