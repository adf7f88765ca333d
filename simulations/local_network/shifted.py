"""`python -m simulations.local_network.shifted SECONDS node serve …`: a node whose own clock is wrong by so much, for
measurements of faults. Nothing else of it differs from `tanxin node serve`."""

from __future__ import annotations

import runpy
import sys
from datetime import UTC, datetime, timedelta

from federated.consent import instants


def main() -> None:
    """Set the clock before anything takes it, and be that node."""
    shift = timedelta(seconds=float(sys.argv.pop(1)))

    def shifted() -> datetime:
        return datetime.now(UTC) + shift

    instants.system_clock = shifted
    # Whoever reads a clock takes it from `instants` when it is imported, which is now.
    runpy.run_module("credit_api", run_name="__main__")


if __name__ == "__main__":
    main()
