"""The command line of what trains and measures, put together once: typer would look at each command's parameters anew
at every call, of all commands."""

from click.testing import CliRunner
from typer.main import get_command

from simulations.cli import app as declared

__all__ = ["CliRunner", "app"]

app = get_command(declared)
