"""Mounts the console's pages on the service."""

from __future__ import annotations

from fastapi import FastAPI


def mount(app: FastAPI) -> None:
    """Add the console's routes and static files to the service."""
    app.state.console = True
