"""`tanxin`, which is `python -m credit_api`: the command line."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command that the arguments name."""
    # What is imported stays: to look for garbage in it, meanwhile and at the end, is a third of a short command's time.
    gc.disable()
    from credit_api.cli.main import main as run  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
