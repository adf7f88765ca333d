"""Options that most commands have, and how a command ends that was refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[Path, typer.Option(envvar="TANXIN_HOME", help="Folder for everything the program writes.")]
Database = Annotated[
    str,
    typer.Option(
        "--database-url", envvar="TANXIN_DATABASE_URL", help="PostgreSQL instead of a SQLite file in the home folder."
    ),
]
# The exit status of what was refused. Here, because to open books takes a second that most commands do not need.
REFUSED = 2
