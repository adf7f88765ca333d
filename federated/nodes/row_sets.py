"""Which customers a bank has let training on shares open sums over: two sums over nearly the same give the rest away.

What is opened over some customers less what is opened over all of them but one is that one's label, and three sets of
which no two are near can be put together so. Who is in a run follows from consents, from alignment, from what grid
companies say that they may use, and from the fold that the operator names: whoever picks these picks the sets. So a
bank remembers, for its limit's window, which of its customers each run fitted and held out. All sets together divide
customers into cells, those that are in the same sets; a run that divides one may do so only into parts as large as sums
have to be long. Banks tell each other, sealed, how many they have in each cell (`protocols.protected`), and open
nothing where a part is small, or where there were as many runs over different customers as the limit allows.

Guarantee: of all runs of a window no sum over fewer customers follows than `least_apart` (of fitted rows, of all banks
together) or `LEAST_APART` (of rows held out, and of a bank's own, runs of banks alone among them): whatever is added up
of sums over these sets weighs all customers of a cell alike.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from federated.consent.instants import from_micros, to_micros
from federated.errors import CorruptData, RowsTooAlike

Digests = NDArray[np.uint64]
# What memories are called in a bank's store, each with what it is of.
NAME = "row sets "
# As many as a count is told of (`privacy.vertical.suppression`).
LEAST_APART = 20
# By bits of a number, the new set among them.
MOST_SETS = 62


def digests_of(subjects: Sequence[str]) -> Digests:
    """A number (n,) for each subject."""
    raw = b"".join(hashlib.sha256(subject.encode()).digest()[:8] for subject in subjects)
    return np.frombuffer(raw, dtype="<u8").astype(np.uint64)


@dataclass(frozen=True, slots=True)
class RowSet:
    """A set of rows: the `number` of its first run, which all banks drew together, when that was, how many `runs` there
    were over it, how many rows of each purpose all banks had together, and the digests of a bank's own."""

    number: int
    at: int
    runs: int
    together: tuple[int, ...]
    own: tuple[Digests, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run that a bank was in: its number, how many rows of each purpose all banks had, and this one."""

    number: int
    together: tuple[int, ...]
    own: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What a bank knows of earlier `runs` and a new one: by purpose how many of its rows are in which of them.

    `cells` (one dict a purpose) count rows by where they are: bit 0 is the new run, bit k + 1 that of number k.
    """

    runs: tuple[Earlier, ...]
    cells: tuple[dict[int, int], ...]


class KeepsState(Protocol):
    """What a memory is kept in (`nodes.store.NodeStore`)."""

    def state(self, key: str, /) -> bytes | None:
        """What is kept under a key."""
        ...

    def change_state(self, change: Callable[[Mapping[str, bytes]], Mapping[str, bytes]], /) -> None:
        """Put in what `change` makes of all that is kept, in one transaction."""
        ...


class RowSets:
    """A bank's memory of runs, as `raw` says that it is kept. `swap` puts another in its place if it is still that one,
    and answers whether it was. A window allows runs over `sets` different sets of rows, and `runs` over each."""

    def __init__(
        self,
        raw: bytes | None,
        swap: Callable[[bytes | None, bytes], bool],
        now: datetime,
        window: timedelta,
        sets: int,
        runs: int,
    ) -> None:
        self._raw, self._swap, self._now, self._most, self._most_runs = raw, swap, to_micros(now), sets, runs
        since = to_micros(now - window)
        self._kept = [kept for kept in _read(raw) if kept.at > since] if raw else []

    def known(self, own: Sequence[Digests]) -> Known:
        """Where these rows, by purpose, and those of earlier runs are."""
        earlier = tuple(
            Earlier(kept.number, kept.together, tuple(len(part) for part in kept.own)) for kept in self._kept
        )
        cells = tuple(_cells([now, *(kept.own[p] for kept in self._kept)]) for p, now in enumerate(own))
        return Known(earlier, cells)

    @property
    def sets(self) -> list[Digests]:
        """The own rows of each purpose of each earlier run."""
        return [part for kept in self._kept for part in kept.own]

    def begin(
        self,
        number: int,
        own: Sequence[Digests],
        counts: Sequence[Sequence[int]],
        told: Sequence[Known],
        least: Sequence[int],
    ) -> None:
        """Remember a run before anything is opened over it. `counts` (by purpose) and `told` are each bank's, the own
        among them; `least` is by purpose.

        Raises `RowsTooAlike` if it divides earlier ones into parts that are too small, or is one more than may be.
        """
        numbers = sorted({each.number for bank in told for each in bank.runs})
        same = set(numbers)
        for p, most in enumerate(least):
            cells, gone = _of_all(numbers, p, told), _gone(numbers, p, told)
            _require_wide(cells, gone, most)
            same -= {n for n in numbers if gone[n] or any((c & 1) != (c >> 1 + numbers.index(n)) & 1 for c in cells)}
        if same:
            self._run_again(min(same))
            return
        if len(self._kept) >= self._most:
            detail = f"as many as {self._most} runs were opened over different customers: train on those of one of them"
            raise RowsTooAlike(detail, runs=self._most)
        together = tuple(int(n) for n in np.sum(np.asarray(counts, dtype=np.int64), axis=0))
        self._keep([*self._kept, RowSet(number, self._now, 1, together, tuple(np.sort(part) for part in own))])

    def _run_again(self, number: int) -> None:
        """Count one run more over a set. Each draws other columns if the operator wants: they add up."""
        runs = next((kept.runs for kept in self._kept if kept.number == number), 0)
        if runs >= self._most_runs:
            detail = f"as many as {self._most_runs} runs were opened over these very customers"
            raise RowsTooAlike(detail, runs=self._most_runs)
        self._keep([replace(kept, runs=kept.runs + (kept.number == number)) for kept in self._kept])

    def _keep(self, kept: list[RowSet]) -> None:
        raw = _written(kept)
        if not self._swap(self._raw, raw):
            raise RowsTooAlike("another run began meanwhile: open this one again", runs=self._most)
        self._raw, self._kept = raw, kept


def kept_sets(store: KeepsState, of: str, now: datetime, window: timedelta, sets: int, runs: int) -> RowSets:
    """A node's memory of runs in its own store: of what they opened (`of`) over its customers."""
    key = NAME + of

    def swap(before: bytes | None, after: bytes) -> bool:
        """In one transaction: two runs that begin at once do not both find the memory as it was."""
        same: list[bool] = []

        def change(rows: Mapping[str, bytes]) -> Mapping[str, bytes]:
            same.append(rows.get(key) == before)
            return {key: after} if same[0] else {}

        store.change_state(change)
        return same[0]

    return RowSets(store.state(key), swap, now, window, sets, runs)


def require_wide(own: Sequence[Digests], sets: Sequence[Digests], least: int) -> None:
    """Raise `RowsTooAlike` where these sets of rows, one after the other, divide what earlier `sets` left together into
    parts of fewer than `least`, or bring as few new ones."""
    everybody = np.unique(np.concatenate([*own, *sets]))
    seen, cell = np.zeros(len(everybody), dtype=np.bool_), np.zeros(len(everybody), dtype=np.int64)
    for number, part in enumerate([*sets, *own]):
        member = np.isin(everybody, part)
        if number >= len(sets):
            small = [n for n in [*_parts(cell[seen], member[seen]), int((member & ~seen).sum())] if 0 < n < least]
            _require_none(small, least)
        cell = np.unique(2 * cell + member, return_inverse=True)[1]
        seen = seen | member


def _parts(cell: NDArray[np.int64], member: NDArray[np.bool_]) -> list[int]:
    """Sizes of the parts into which members divide cells; none of a cell that is not divided."""
    whole, within = np.bincount(cell), np.bincount(cell, member).astype(np.int64)
    divided = (within > 0) & (within < whole)
    return [int(n) for n in (*within[divided], *(whole - within)[divided])]


def _cells(sets: Sequence[Digests]) -> dict[int, int]:
    """How many rows are in which of these sets, a bit each. Raises `RowsTooAlike` for more sets than there are bits."""
    if len(sets) > MOST_SETS:
        raise RowsTooAlike(f"no more than {MOST_SETS} runs over different customers are told apart", runs=MOST_SETS)
    everybody = np.unique(np.concatenate(sets))
    where = np.zeros(len(everybody), dtype=np.int64)
    for bit, one in enumerate(sets):
        where |= np.isin(everybody, one).astype(np.int64) << bit
    found, counts = np.unique(where, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _require_wide(cells: Mapping[int, int], gone: Mapping[int, int], least: int) -> None:
    """`gone` are rows of banks that are in an earlier run and not in this one."""
    small = [count for count in gone.values() if 0 < count < least]
    if len(cells) and max(cells) > 1:
        for cell in {cell >> 1 for cell in cells}:
            without, within = cells.get(cell << 1, 0), cells.get(cell << 1 | 1, 0)
            if within and (without or not cell):
                small += [part for part in (without, within) if 0 < part < least]
    _require_none(small, least)


def _require_none(small: Sequence[int], least: int) -> None:
    """Raise `RowsTooAlike` for parts that are too small."""
    if small:
        # How few is for the bank alone: an operator is told the words, and could feel its way by a number.
        detail = "an earlier run, be it a fold, was over nearly the same customers: the difference tells of the others"
        raise RowsTooAlike(detail, apart=min(small), least=least)


def _of_all(numbers: Sequence[int], purpose: int, told: Sequence[Known]) -> dict[int, int]:
    """Cells of all banks' rows, by where they are in the runs of these numbers. A bank that was not in one has none."""
    together: dict[int, int] = {}
    for bank in told:
        at = [1 + numbers.index(run.number) for run in bank.runs]
        for cell, count in bank.cells[purpose].items():
            moved = (cell & 1) | sum(((cell >> 1 + k) & 1) << bit for k, bit in enumerate(at))
            together[moved] = together.get(moved, 0) + count
    return together


def _gone(numbers: Sequence[int], purpose: int, told: Sequence[Known]) -> dict[int, int]:
    """By earlier run: how many rows it had of banks that are not in this one."""
    rows = dict.fromkeys(numbers, 0)
    for bank in told:
        for run in bank.runs:
            rows[run.number] += run.own[purpose]
    most = {run.number: run.together[purpose] for bank in told for run in bank.runs}
    return {number: max(most[number] - rows[number], 0) for number in numbers}


def _written(kept: Sequence[RowSet]) -> bytes:
    arrays: dict[str, NDArray[np.generic]] = {}
    for i, each in enumerate(kept):
        arrays[f"{i:04d}/number"] = np.array([each.number], dtype=np.uint64)
        arrays[f"{i:04d}/about"] = np.array([each.at, *each.together], dtype=np.int64)
        arrays[f"{i:04d}/runs"] = np.array([each.runs], dtype=np.int64)
        arrays |= {f"{i:04d}/own/{p}": part for p, part in enumerate(each.own)}
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()


def within(raw: bytes, since: datetime) -> bytes:
    """A memory without the runs that no limit counts any more: those until `since`. Raises `CorruptData`."""
    return _written([kept for kept in _read(raw) if kept.at > to_micros(since)])


def last_about(raw: bytes, subjects: Sequence[str]) -> datetime | None:
    """When the last run began that a memory has one of these customers in, None if none has. Raises `CorruptData`."""
    wanted = digests_of(subjects)
    having = [kept.at for kept in _read(raw) if any(np.isin(wanted, part).any() for part in kept.own)]
    return from_micros(max(having)) if having else None


def _read(raw: bytes) -> list[RowSet]:
    try:
        return _sets(raw)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise CorruptData(f"a bank's memory of runs cannot be read: {error}") from error


def _sets(raw: bytes) -> list[RowSet]:
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        names = sorted(name[:4] for name in arrays.files if name.endswith("/number"))
        return [_set({of: arrays[f"{name}/{of}"] for of in _of(name, arrays.files)}) for name in names]


def _of(name: str, files: Sequence[str]) -> list[str]:
    return [file.removeprefix(f"{name}/") for file in files if file.startswith(f"{name}/")]


def _set(arrays: Mapping[str, NDArray[np.generic]]) -> RowSet:
    number, about = (np.asarray(arrays[of]).tolist() for of in ("number", "about"))
    # What an earlier version set aside between fitted and held-out rows, to calibrate by, is counted no more.
    purposes = [p for p in range(len(about) - 1) if len(about) != 4 or p != 1]
    return RowSet(
        int(number[0]),
        int(about[0]),
        int(np.asarray(arrays["runs"])[0]) if "runs" in arrays else 1,
        tuple(int(about[1 + p]) for p in purposes),
        tuple(np.asarray(arrays[f"own/{p}"], dtype=np.uint64) for p in purposes),
    )
