"""A network at one instant as a page that needs nothing else: no script, nothing loaded, light and dark."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from simulations.local_network.picture import picture_of, state_of
from simulations.local_network.views import Seen

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(seen: Seen) -> str:
    """HTML of a network as it was seen."""
    return _templates.get_template("network.html").render(
        seen=seen, picture=picture_of(seen), state=state_of, instant=instant
    )


def instant(text: str) -> str:
    """An instant in UTC, to the minute."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M}"
