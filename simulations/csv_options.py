"""Options of commands that read any labelled CSV file, the same by name, meaning and default in each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from simulations.experiments.credit_zoo.datasets import BenchTable

Csv = Annotated[Path | None, typer.Option(help="Any labelled CSV file, plain or gzip, with a header.")]
Target = Annotated[str, typer.Option(help="Label column of --csv.")]
Positive = Annotated[str | None, typer.Option(help="Value of the target that counts as 1.")]
Drop = Annotated[str, typer.Option(help="Columns of --csv that are no features, with commas between.")]
Parties = Annotated[str | None, typer.Option(help="'a,b|c,d': the label holder's and the other's columns.")]
GridColumns = Annotated[
    str, typer.Option(help="The other party's columns of --csv, with commas between; the rest are the label holder's.")
]


@dataclass(frozen=True, slots=True)
class LabelledCsv:
    """A labelled CSV file and how it is read, in the words of the command line."""

    path: Path
    target: str
    positive: str | None = None
    drop: str = ""
    parties: str | None = None
    grid_columns: str = ""

    @staticmethod
    def chosen(
        path: Path | None, target: str, positive: str | None, drop: str, parties: str | None, grid_columns: str
    ) -> LabelledCsv | None:
        """What the options name, or None if they name nothing.

        Raises `typer.BadParameter` if they say how to read a file and name none.
        """
        if path is not None:
            return LabelledCsv(path, target, positive, drop, parties, grid_columns)
        if target or drop or grid_columns or positive is not None or parties is not None:
            detail = "--target, --positive, --drop, --parties and --grid-columns say how to read one"
            raise typer.BadParameter(detail, param_hint="--csv")
        return None

    def load(self) -> BenchTable:
        """The file as a table of two parties. Raises `DataMissing`, `CorruptData` or `SchemaMismatch`."""
        # Pandas takes its time to load; other commands of the same script do not pay for it.
        from simulations.experiments.credit_zoo.datasets import load_csv  # noqa: PLC0415

        return load_csv(
            self.path, self.target, self.positive, _names(self.drop), self.parties, _names(self.grid_columns)
        )


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]
