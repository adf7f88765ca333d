"""Which customers a bank has let training on shares open sums over: two sums over nearly the same give the rest away.

What is opened over some customers less what is opened over all of them but one is that one's label. Who is in a run
follows from consents, from alignment, from what grid companies say that they may use, and from the fold and the seed
that the operator names: whoever picks these picks the difference. So a bank remembers, for its limit's window, which
of its customers each run fitted, set aside and held out, and banks tell each other, sealed, how far the next run is
apart from each of those (`protocols.protected`). They open nothing if it is neither the same nor as far apart as sums
have to be long, or if there were as many runs over different customers as the limit allows.

Guarantee: of two runs of a window no sum over fewer customers follows than `least_apart` (of fitted rows), or
`LEAST_APART` (of rows set aside and held out; of all, where one of the runs is of banks alone). Not covered: what more
than two runs say together; the limit bounds how many there are, over different customers and over the same.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from federated.consent.instants import from_micros, to_micros
from federated.errors import CorruptData, RowsTooAlike

Digests = NDArray[np.uint64]
# What memories are called in a bank's store, each with what it is of.
NAME = "row sets "
# As many as a count is told of (`privacy.vertical.suppression`).
LEAST_APART = 20


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
class Apart:
    """How far a bank's own rows of each purpose are from those of an earlier run, and how many it and all banks had in
    that."""

    together: tuple[int, ...]
    then: tuple[int, ...]
    apart: tuple[int, ...]


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

    def apart(self, own: Sequence[Digests]) -> dict[int, Apart]:
        """How far these rows are from those of each earlier run, by its number."""
        return {
            kept.number: Apart(
                kept.together,
                tuple(len(then) for then in kept.own),
                tuple(len(np.setxor1d(now, then)) for now, then in zip(own, kept.own, strict=True)),
            )
            for kept in self._kept
        }

    def begin(
        self,
        number: int,
        own: Sequence[Digests],
        counts: Sequence[Sequence[int]],
        told: Sequence[Mapping[int, Apart]],
        least: Sequence[int],
    ) -> None:
        """Remember a run before anything is opened over it. `counts` (by purpose) and `told` are each bank's, the own
        among them; `least` is by purpose.

        Raises `RowsTooAlike` if it is too near an earlier one, or one more than there may be.
        """
        numbers = sorted({each for bank in told for each in bank})
        distances = [_together(earlier, counts, told) for earlier in numbers]
        for apart in distances:
            for n, most in zip(apart, least, strict=True):
                _require_far(n, most)
        for earlier, apart in zip(numbers, distances, strict=True):
            if not any(apart):
                self._run_again(earlier)
                return
        if len(self._kept) >= self._most:
            detail = f"as many as {self._most} runs were opened over different customers: train on those of one of them"
            raise RowsTooAlike(detail, runs=self._most)
        together = tuple(int(n) for n in np.sum(np.asarray(counts, dtype=np.int64), axis=0))
        self._keep([*self._kept, RowSet(number, self._now, 1, together, tuple(np.sort(part) for part in own))])

    def require_far(self, own: Digests, least: int) -> None:
        """Raise `RowsTooAlike` where these rows are those of the first purpose of an earlier run, but for fewer than
        `least`."""
        for kept in self._kept:
            _require_far(len(np.setxor1d(own, kept.own[0])), least)

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


def _require_far(apart: int, least: int) -> None:
    if 0 < apart < least:
        # How few is for the bank alone: an operator is told the words, and could feel its way by a number.
        detail = "an earlier run was over nearly the same customers: the difference tells of the others"
        raise RowsTooAlike(detail, apart=apart, least=least)


def _together(earlier: int, counts: Sequence[Sequence[int]], told: Sequence[Mapping[int, Apart]]) -> list[int]:
    """How far all banks' rows are from those of an earlier run, by purpose.

    A bank that was not in it is apart by all its rows, and so is one that is not in this one.
    """
    known = [(bank.get(earlier), own) for bank, own in zip(told, counts, strict=True)]
    total = next(found.together for found, _ in known if found is not None)
    return [
        sum(own[p] if found is None else found.apart[p] for found, own in known)
        + max(total[p] - sum(found.then[p] for found, _ in known if found is not None), 0)
        for p in range(len(total))
    ]


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
        return [
            RowSet(
                int(arrays[f"{name}/number"][0]),
                int(arrays[f"{name}/about"][0]),
                int(arrays[f"{name}/runs"][0]) if f"{name}/runs" in arrays.files else 1,
                tuple(int(n) for n in arrays[f"{name}/about"][1:]),
                tuple(
                    np.asarray(arrays[f"{name}/own/{p}"], dtype=np.uint64)
                    for p in range(len(arrays[f"{name}/about"]) - 1)
                ),
            )
            for name in names
        ]
