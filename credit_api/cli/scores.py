"""`tanxin score-file`: a file of customers, scored over the API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from credit_api.scores.batch import BatchRefused, score_rows

err = Console(stderr=True)
REFUSED = 2


def score_file(
    file: Annotated[Path, typer.Argument(help="CSV with the columns subject_id, consent_id and purpose.")],
    output: Annotated[Path, typer.Argument(help="CSV to write; rows that are in it already are not asked again.")],
    url: Annotated[str, typer.Option(help="Address of the running service.")] = "http://127.0.0.1:8000",
    key: Annotated[str, typer.Option(envvar="TANXIN_KEY", help="The bank's token, or its API key in a sandbox.")] = "",
) -> None:
    """Score a file of customers over the API: a status for each row, resumable, every row a logged inquiry."""
    try:
        counts = score_rows(file, output, url, key, Console(stderr=True))
    except BatchRefused as error:
        err.print(f"error {error.code}: {error}", style="red", markup=False)
        raise typer.Exit(REFUSED) from error
    Console().print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "nothing to ask")
