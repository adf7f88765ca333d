"""Horizontal bars as geometry: one row a name, its bar, and what it stands for in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ROW, BAR, GAP = 44, 12, 6


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    label: str
    text_y: int
    bar_y: int
    width: float


@dataclass(frozen=True, slots=True)
class Bars:
    """A drawing of `width` × `height` units; bars start at 0 and share one scale."""

    width: int
    height: int
    bar_height: int
    rows: tuple[Row, ...]


def bars(width: int, values: Sequence[tuple[str, int, str]]) -> Bars:
    """A bar for each (name, amount, words), in this order; the largest amount fills the width.

    `values` is not empty and no amount is negative.
    """
    high = max(amount for _, amount, _ in values) or 1
    rows = tuple(
        Row(
            name=name,
            label=label,
            text_y=place * ROW + 16,
            bar_y=place * ROW + 16 + GAP,
            width=round(amount / high * width, 2),
        )
        for place, (name, amount, label) in enumerate(values)
    )
    return Bars(width, len(rows) * ROW, BAR, rows)
