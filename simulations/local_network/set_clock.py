"""`python -m simulations.local_network.set_clock FILE …`: a `tanxin` command that is off by the seconds that FILE says.

Nodes read their time in one place (`federated.consent.instants`), which is given another clock here; FILE is read at
each look. What the product runs knows no such file. Certificates are checked within TLS by the machine's own clock,
which this does not set.
"""

from __future__ import annotations

import runpy
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from federated.consent import instants


def off_by(file: Path) -> type[datetime]:
    """`datetime` as it is when the clock is off by the seconds in a file."""

    class Off(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            """The time now, off by that."""
            return datetime.now(tz) + timedelta(seconds=float(file.read_text("ascii")))

    return Off


def main() -> None:
    """Run the command after FILE."""
    file, *sys.argv[1:] = sys.argv[1:]
    vars(instants)["datetime"] = off_by(Path(file))
    runpy.run_module("credit_api", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
