"""Tables in an experiment's README that are made from its report files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TABLE_START = "<!-- table: made from the report files, do not edit -->"
TABLE_END = "<!-- end of table -->"
Tables = Callable[[list[Any]], Sequence[str]]


def rewrite_tables(folder: Path, tables: Tables) -> str:
    """Put `tables` of `folder`/reports/*.json, in order of name, into `folder`/README.md; return the new text."""
    reports = [json.loads(path.read_text("utf-8")) for path in sorted((folder / "reports").glob("*.json"))]
    readme = folder / "README.md"
    before, rest = readme.read_text("utf-8").split(TABLE_START)
    after = rest.split(TABLE_END)[1]
    updated = before + TABLE_START + "\n\n" + "\n\n".join(tables(reports)) + "\n\n" + TABLE_END + after
    readme.write_text(updated, "utf-8")
    return updated
