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
from federated.nodes.row_sets import LEAST_APART, Digests, Earlier, Known, require_wide
from federated.privacy.vertical.ring import Ring
from federated.protocols.core.messages import Arrays, Content
from federated.protocols.core.rows import BankRows
from federated.protocols.protected.state import (
    BANKS_GRADIENT,
    FIT,
    GRADIENT,
    HELD_OUT,
    HISTOGRAM,
    ProtectedNode,
    Talk,
    gram_of,
)

PURPOSES = (FIT, HELD_OUT)
# A bank that fits fewer is nobody to hide among, nor hides anybody.
LEAST_OF_A_BANK = 20
_HEAD, _EARLIER, _CELL = 2 + len(PURPOSES), 1 + 2 * len(PURPOSES), 3


@dataclass(frozen=True, slots=True)
class Told:
    """What one bank says: a number that it drew, its rows by purpose, and where those and earlier runs' rows are."""

    drawn: int
    counts: tuple[int, ...]
    known: Known

    def numbers(self) -> Ring:
        """As one row of numbers, which `told_of` reads back."""
        runs = [(run.number, *run.together, *run.own) for run in self.known.runs]
        cells = [(p, cell, count) for p, of in enumerate(self.known.cells) for cell, count in of.items()]
        told = [self.drawn, *self.counts, len(runs), *(n for row in (*runs, *cells) for n in row)]
        return np.array(told, dtype=np.uint64)


def told_of(numbers: Ring) -> Told:
    """Read back what a bank said. Raises `TrainingFailed` for anything else."""
    head, each = numbers[:_HEAD].tolist(), len(PURPOSES)
    cells = _HEAD + _EARLIER * (head[-1] if len(head) == _HEAD else 0)
    if len(numbers) < cells or len(head) < _HEAD or (len(numbers) - cells) % _CELL:
        raise TrainingFailed(f"a bank told {len(numbers)} numbers of the customers that it fits")
    runs = tuple(
        Earlier(row[0], tuple(row[1 : 1 + each]), tuple(row[1 + each :]))
        for row in numbers[_HEAD:cells].reshape(-1, _EARLIER).tolist()
    )
    found: tuple[dict[int, int], ...] = tuple({} for _ in PURPOSES)
    for purpose, cell, count in numbers[cells:].reshape(-1, _CELL).tolist():
        if purpose >= each or cell >> 1 + len(runs):
            raise TrainingFailed("a bank told of customers in runs that it did not name")
        found[purpose][cell] = count
    return Told(head[0], tuple(head[1:-1]), Known(runs, found))


@dataclass(frozen=True, slots=True)
class OwnRows:
    """One bank's rows of a run, which is of banks `alone` or not, and what it tells the others of them."""

    rows: BankRows
    own: tuple[Digests, ...]
    told: Told
    alone: bool

    @staticmethod
    def of(state: ProtectedNode) -> OwnRows:
        """Of a bank, once it knows what its rows are for."""
        rows, alone = state.node.rows, not state.parties.theirs
        if not isinstance(rows, BankRows):
            raise TrainingFailed(f"{rows.org_id} is no bank")
        at = [state.of_purpose(purpose) for purpose in PURPOSES]
        counts, memory = tuple(len(each) for each in at), rows.alone_sets if alone else rows.row_sets
        own = () if memory is None else tuple(rows.digests[each] for each in at)
        # In a run of banks alone each decides by its own rows how far it is from earlier ones.
        known = Known((), tuple({} for _ in PURPOSES)) if memory is None or alone else memory.known(own)
        return OwnRows(rows, own, Told(secrets.randbits(64), counts, known), alone)

    def begin_with(self, others: Sequence[Told]) -> None:
        """Agree to open sums. Raises `TooFewRows` where all banks fit fewer rows than this one allows, `RowsTooAlike`
        where the run is nearly an earlier one, or one too many."""
        least_of_banks = min(LEAST_APART, self.rows.least_rows)
        if self.alone:
            self._begin_alone(least_of_banks)
            return
        everybody, least = [self.told, *others], self.rows.least_rows
        together = sum(told.counts[0] for told in everybody)
        if together < least:
            customers = f"trains on {least:,} customers in common at least, not on {together:,}"
            why = "of fewer, labels can be told from what is opened"
            raise TooFewRows(f"{self.rows.org_id} {customers}: {why}", least=least)
        if self.rows.row_sets is None:
            return
        self._require_wide(least_of_banks)
        # Drawn by all banks, so that no run can be given the number of another.
        drawn = b"".join(each.to_bytes(8, "big") for each in sorted(told.drawn for told in everybody))
        self.rows.row_sets.begin(
            int.from_bytes(hashlib.sha256(drawn).digest()[:8], "big"),
            self.own,
            [told.counts for told in everybody],
            [told.known for told in everybody],
            (min(self.rows.least_apart, together), least_of_banks),
        )

    def _begin_alone(self, least: int) -> None:
        """As `begin_with`, by the own rows: those of all customers, whom no grid company chooses."""
        memory = self.rows.alone_sets
        if memory is None:
            return
        self._require_wide(least)
        memory.begin(self.told.drawn, self.own, [self.told.counts], [memory.known(self.own)], [least] * len(self.own))

    def _require_wide(self, least: int) -> None:
        """By the own rows, against all that was opened over them: in runs of either kind, of either purpose, and of
        this one the count of defaults that goes before it."""
        memories = [each for each in (self.rows.row_sets, self.rows.alone_sets) if each is not None]
        earlier = [one for memory in memories for one in memory.sets]
        require_wide(self.own if earlier else self.own[:1], [self.rows.digests[self.rows.training], *earlier], least)


class Counting:
    """The handler of one bank: nothing of a run is opened before it has heard from all others."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.forget()

    def forget(self) -> None:
        """Know of no rows that were told."""
        self.own_rows: OwnRows | None = None

    def rows(self, content: Content) -> Content:
        """Tell every other bank, sealed, of the own rows; then, by what all have told, agree to the run, know who leads
        it, and say so. Raises `TooFewRows`, `RowsTooAlike`."""
        talk, state = self._talk, self._talk.state
        out: Arrays = {}
        others = sorted(state.parties.ours - {talk.name})
        if not state.is_bank:
            raise TrainingFailed(f"{talk.name} is no bank")
        if self.own_rows is None:
            self.own_rows = OwnRows.of(state)
            for bank in others:
                out[f"fitted/{bank}"] = talk.sealed(bank, self.own_rows.told.numbers())
            return Content(out)
        state.tell_once("rows of banks")
        told = {bank: told_of(talk.ring(content, "fitted", bank, -1)) for bank in others}
        self._agree({**told, talk.name: self.own_rows.told}, list(told.values()))
        return Content(config={"lead": state.lead})

    def _agree(self, everybody: Mapping[str, Told], others: Sequence[Told]) -> None:
        state = self._talk.state
        counted = frozenset(bank for bank, told in everybody.items() if told.counts[0])
        few = min((everybody[bank].counts[0] for bank in counted), default=0)
        if few < LEAST_OF_A_BANK:
            detail = f"one of {len(counted)} banks fits {few} customers, and sums over them are the others' or say who"
            raise TooFewRows(f"{self._talk.name}: {detail}", least=LEAST_OF_A_BANK)
        assert self.own_rows is not None
        self.own_rows.begin_with(others)
        state.fitted, state.to_judge = (
            sum(told.counts[of] for told in everybody.values()) for of in range(len(PURPOSES))
        )
        state.adding = dict.fromkeys((GRADIENT, BANKS_GRADIENT, gram_of("bank")), counted)
        state.lead = min(counted, key=lambda bank: (-everybody[bank].counts[0], bank))
        # The lead's mask hides the sum, whether it holds anybody out or not.
        state.adding[HISTOGRAM] = frozenset(bank for bank, told in everybody.items() if any(told.counts[1:])) | {
            state.lead
        }
        state.enough = True
