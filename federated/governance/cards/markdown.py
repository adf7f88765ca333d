"""A model card as Markdown: CommonMark with tables."""

from __future__ import annotations

import re

from federated.governance.cards.card import Card, Facts, Table


def markdown(card: Card) -> str:
    """The whole card; whatever its values contain is taken literally."""
    lines = [f"# {_literal(card.title)}", ""]
    for section in card.sections:
        lines += [f"## {_literal(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block), ""]
    return "\n".join(lines)


def _block(block: str | Facts | Table) -> list[str]:
    if isinstance(block, str):
        return [_literal(block)]
    if isinstance(block, Facts):
        return [f"- **{_literal(term)}**: {_literal(value)}" for term, value in block.rows]
    rule = _row(["---"] * len(block.header))
    header, *rows = [_row([_literal(cell) for cell in row]) for row in (block.header, *block.rows)]
    return [f"**{_literal(block.caption)}**", "", header, rule, *rows]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _literal(value: str) -> str:
    """One line on which nothing is markup: names and notes come from others."""
    return re.sub(r"([\\`*\[\]<>|#&])", r"\\\1", " ".join(value.split()))
