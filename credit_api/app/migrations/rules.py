"""The triggers that keep the books true, in the dialect of the database. Statements end with "--end"."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "sql"


def rules(revision: str, dialect: str) -> list[str]:
    """The statements of `sql/{revision}_{dialect}.sql`."""
    text = (FOLDER / f"{revision}_{dialect}.sql").read_text("utf-8")
    return [part.strip() for part in text.split("--end") if part.strip()]
