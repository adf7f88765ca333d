"""Whole tonnes out of kilograms: what does not fill a tonne is carried to the project's next period.

A tonne that is filled over two periods has the vintage of the later one, in which it became whole; the record of each
period says how many kilograms came in and went on, so every tonne can be traced to the readings of both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from financing.base.errors import QuantityOutOfRange
from financing.base.quantities import BPS_PER_UNIT, KG_PER_TONNE, Carbon, Rate, ceil_div


@dataclass(frozen=True, slots=True)
class CarryOver:
    """`carried_in + reduction = issued + carried_out`; `buffer` is the part of `issued` withheld against reversal."""

    carried_in: Carbon
    reduction: Carbon
    issued: Carbon
    buffer: Carbon
    carried_out: Carbon


def whole_tonnes(reduction: Carbon, carried_in: Carbon) -> CarryOver:
    """Split what a period gives into whole tonnes and a remainder below one, nothing withheld.

    Raises `QuantityOutOfRange` for a remainder of a tonne or more.
    """
    if not 0 <= carried_in.kg < KG_PER_TONNE:
        raise QuantityOutOfRange("a remainder is less than a tonne", carried_in_kg=carried_in.kg)
    total = reduction.require_non_negative() + carried_in
    issued = total.whole_tonnes()
    return CarryOver(carried_in, reduction, issued, Carbon(0), total - issued)


def with_buffer(carried: CarryOver, share: Rate) -> CarryOver:
    """Withhold `share` of what is issued, rounded up to the kg. Raises `QuantityOutOfRange` for more than all of it."""
    if not 0 <= share.bps <= BPS_PER_UNIT:
        raise QuantityOutOfRange("the buffer is part of what is issued", share_bps=share.bps)
    return replace(carried, buffer=Carbon(ceil_div(carried.issued.kg * share.fraction())))
