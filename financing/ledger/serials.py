"""Serial blocks: every issued kilogram has a number; a block is a run of them that is never re-used.

Text: `{registry}-PHCER-{meth}-{project}-{vintage}-{periodStart}-{periodEnd}-{from}-{to}-{check}`; the registry code is
that of the region whose registry issued it (SIP is Suzhou Industrial Park's). Dates are the first and last calendar day
in China, `from` and `to` the first and last kilogram, inclusive, counted from 1 in each issuance. Project and period
name the issuance, since a period is issued once; credits minted from another region's carry the number of the import (X
and eight digits) as project code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Protocol

from financing.base.errors import QuantityOutOfRange, SerialInvalid
from financing.base.quantities import Carbon, Period
from financing.ledger.check_digits import with_check, without_check

REGISTRY_CODE = re.compile(r"[A-Z]{2,8}")
SERIAL = re.compile(
    r"(?P<registry>[A-Z]{2,8})-PHCER-(?P<meth>[A-Z]+[0-9]+)-(?P<project>[A-Z0-9]{1,16})-(?P<vintage>\d{4})"
    r"-(?P<start>\d{8})-(?P<end>\d{8})-(?P<first>[1-9]\d{0,17})-(?P<last>[1-9]\d{0,17})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialOrigin:
    """What every kilogram of an issuance says of where it comes from."""

    methodology_tag: str
    project_code: str
    vintage: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialText(SerialOrigin):
    """What a serial number says."""

    first_kg: int
    last_kg: int
    registry_code: str

    def __str__(self) -> str:
        days = f"{self.first_day:%Y%m%d}-{self.last_day:%Y%m%d}"
        body = f"{self.registry_code}-PHCER-{self.methodology_tag}-{self.project_code}-{self.vintage:04d}-{days}"
        return with_check(f"{body}-{self.first_kg}-{self.last_kg}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialBlock(SerialOrigin):
    """Kilograms `first_kg` to `last_kg` (inclusive) of an issuance.

    `history` are the serial it was issued under and the one it was last cut from, as far as they are others; every
    one between them is on record in the registry (`SerialStore.past`). A list of all would grow with each split.
    """

    issuance_id: str
    first_kg: int
    last_kg: int
    registry_code: str
    history: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.first_kg <= self.last_kg:
            raise QuantityOutOfRange("a block holds at least one kilogram", first=self.first_kg, last=self.last_kg)

    @property
    def quantity(self) -> Carbon:
        return Carbon(self.last_kg - self.first_kg + 1)

    @property
    def serial(self) -> str:
        return str(
            SerialText(
                methodology_tag=self.methodology_tag,
                project_code=self.project_code,
                vintage=self.vintage,
                first_day=self.first_day,
                last_day=self.last_day,
                first_kg=self.first_kg,
                last_kg=self.last_kg,
                registry_code=self.registry_code,
            )
        )


def issue_block(
    *,
    issuance_id: str,
    methodology_tag: str,
    project_code: str,
    period: Period,
    quantity: Carbon,
    registry_code: str,
) -> SerialBlock:
    """The first block of an issuance: kilograms 1 to `quantity`. Raises `QuantityOutOfRange` for nothing to issue."""
    return SerialBlock(
        issuance_id=issuance_id,
        methodology_tag=methodology_tag,
        project_code=project_code,
        vintage=period.vintage(),
        first_day=period.first_day(),
        last_day=period.last_day(),
        first_kg=1,
        last_kg=quantity.require_positive().kg,
        registry_code=registry_code,
    )


def take_tail(block: SerialBlock, quantity: Carbon) -> tuple[SerialBlock | None, SerialBlock]:
    """Split off the last `quantity` of the block: (what stays or None, what was taken).

    A partial transfer takes the tail, as in the UNDP registry. Both parts remember the block they came from; taking
    the whole block splits nothing. Raises `QuantityOutOfRange` when the block is smaller.
    """
    if quantity.require_positive() > block.quantity:
        raise QuantityOutOfRange("the block is smaller", available_kg=block.quantity.kg, asked_kg=quantity.kg)
    if quantity == block.quantity:
        return None, block
    history = _cut_from(block)
    cut = block.last_kg - quantity.kg
    return replace(block, last_kg=cut, history=history), replace(block, first_kg=cut + 1, history=history)


def _cut_from(block: SerialBlock) -> tuple[str, ...]:
    return (*block.history[:1], block.serial)


def take_from(blocks: tuple[SerialBlock, ...], quantity: Carbon) -> tuple[list[SerialBlock], list[SerialBlock]]:
    """Take `quantity` from several blocks in the order given: (blocks that stay, blocks taken).

    Raises `QuantityOutOfRange` when they hold less together.
    """
    held = sum(block.quantity.kg for block in blocks)
    if quantity.require_positive().kg > held:
        raise QuantityOutOfRange("the blocks hold less", available_kg=held, asked_kg=quantity.kg)
    left = quantity
    stay: list[SerialBlock] = []
    taken: list[SerialBlock] = []
    for block in blocks:
        if not left:
            stay.append(block)
            continue
        rest, part = take_tail(block, min(left, block.quantity))
        taken.append(part)
        left -= part.quantity
        if rest is not None:
            stay.append(rest)
    return stay, taken


def cut(block: SerialBlock, first_kg: int, last_kg: int) -> SerialBlock:
    """The part of a block from `first_kg` to `last_kg`; it remembers the block it came from.

    Raises `QuantityOutOfRange` for kilograms outside the block.
    """
    if not block.first_kg <= first_kg <= last_kg <= block.last_kg:
        raise QuantityOutOfRange("these kilograms lie outside the block", serial=block.serial, first=first_kg)
    if (first_kg, last_kg) == (block.first_kg, block.last_kg):
        return block
    return replace(block, first_kg=first_kg, last_kg=last_kg, history=_cut_from(block))


def without(block: SerialBlock, ranges: Iterable[tuple[int, int]]) -> list[SerialBlock]:
    """What is left of a block without the kilograms of `ranges` (inclusive, in any order), in serial order."""
    left: list[SerialBlock] = []
    position = block.first_kg
    for first, last in sorted(ranges):
        if last < position or first > block.last_kg:
            continue
        if first > position:
            left.append(cut(block, position, first - 1))
        position = last + 1
    if position <= block.last_kg:
        left.append(cut(block, position, block.last_kg))
    return left


def parse_serial(text: str) -> SerialText:
    """Read a serial number. Raises `SerialInvalid` for wrong check digits, form, dates or range."""
    match = SERIAL.fullmatch(without_check(text))
    if match is None:
        raise SerialInvalid("not a serial number of this registry", serial=text)
    first, last, vintage = int(match["first"]), int(match["last"]), int(match["vintage"])
    start, end = _day(match["start"], text), _day(match["end"], text)
    if first > last or start > end or not start.year == end.year == vintage:
        raise SerialInvalid("the serial number contradicts itself", serial=text)
    return SerialText(
        methodology_tag=match["meth"],
        project_code=match["project"],
        vintage=vintage,
        first_day=start,
        last_day=end,
        first_kg=first,
        last_kg=last,
        registry_code=match["registry"],
    )


def _day(digits: str, text: str) -> date:
    try:
        return datetime.strptime(digits, "%Y%m%d").date()  # noqa: DTZ007 (a calendar day has no zone)
    except ValueError as error:
        raise SerialInvalid("the serial number names no calendar day", serial=text) from error


class SerialNumbers(Protocol):
    """Which account holds which serial numbers: kept by the registry, told of every entry that moves credits."""

    def deal(
        self, *, issuance_id: str, source_id: int, shares: Sequence[tuple[int, Carbon]], entry_id: int
    ) -> tuple[SerialBlock, ...]: ...

    def move_range(
        self, *, issuance_id: str, source_id: int, target_id: int, first_kg: int, last_kg: int, entry_id: int
    ) -> tuple[SerialBlock, ...]: ...
