"""`tanxin documents`: what is made from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from credit_api.app import documents as made_of


def documents(folder: Annotated[Path, typer.Option(help="Folder of the committed documents.")] = Path("docs")) -> None:
    """Write what is made from the code: OpenAPI, error codes, authority, privacy claims and the tables of api.md."""
    made = {
        "openapi.json": made_of.openapi_text(),
        "errors.md": made_of.errors_text(),
        "authority.md": made_of.authority_text(),
        "privacy-claims.md": made_of.claims_text(),
        "api.md": made_of.guide_text((folder / "api.md").read_text("utf-8")),
    }
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
        Console().print(f"wrote {folder / name}")
