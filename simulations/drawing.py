"""The one way to draw: without a screen, to PNG files that are the same when drawn again from the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DPI = 110


def pyplot() -> Any:
    """Matplotlib's pyplot, which takes a second to load: only commands that draw ask for it."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as loaded  # noqa: PLC0415

    return loaded


def saved(figure: Any, path: Path, dpi: int = DPI) -> Path:
    """Write a figure, its folder too if need be, and let go of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, metadata={"Software": None})
    pyplot().close(figure)
    return path
