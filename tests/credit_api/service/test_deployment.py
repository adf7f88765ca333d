"""Units and container files: the program knows every command and option in them."""

import configparser
import re
from pathlib import Path

import click
import pytest
import typer
import yaml

from credit_api.cli.main import app

FOLDER = Path("docs/deployment")
UNITS = sorted(FOLDER.glob("*.service"))
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))


def unit(path):
    parser = configparser.ConfigParser(interpolation=None, strict=False, comment_prefixes="#", delimiters="=")
    parser.optionxform = str
    parser.read_string(path.read_text("utf-8"))
    return parser


def parsed(words):
    """What the program makes of a command, name and parameters. Raises `click.UsageError` for what it does not know."""
    command, context, name = typer.main.get_command(app), None, "tanxin"
    rest = list(words)
    while True:
        group = hasattr(command, "get_command")
        context = command.make_context(name, rest, parent=context, resilient_parsing=False, **_more(group))
        if not group:
            return context.command_path, context.params
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])


def _more(group):
    return {"allow_extra_args": True, "allow_interspersed_args": False} if group else {}


def started(text):
    """The words after `tanxin`, with what an environment file fills in."""
    known = {"ADDRESS": "10.0.0.1", "PORT": "8443", "PEERS": "--peer grid-sip=https://10.0.0.2:8443"}
    known |= {"BANKS": "--node bank-gusu=https://10.0.0.1:8443"}
    words = re.search(r"/bin/tanxin ([^']*)", text).group(1).replace("%i", "bank-gusu")
    return re.sub(r"\$(\w+)", lambda found: known[found.group(1)], words).split()


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_start_what_the_program_knows_and_let_nobody_else_read_it(path):
    service = unit(path)["Service"]
    name, given = parsed(started(service["ExecStart"]))
    assert name in {"tanxin node serve", "tanxin identity serve", "tanxin serve"}
    assert given["host"] == ("127.0.0.1" if name == "tanxin serve" else "10.0.0.1")
    assert (service["UMask"], service["StateDirectoryMode"]) == ("0077", "0700")
    assert service["User"] not in {"", "root"}
    # A secret in a unit or in an environment file is read by whoever lists units.
    assert "PASSPHRASE=" not in path.read_text("utf-8").replace('TANXIN_NODE_PASSPHRASE="$(cat "$CREDENTIALS', "")


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_containers_start_what_the_program_knows(name):
    service = COMPOSE["services"][name]
    command, given = parsed(service["command"].split())
    nodes = {each for each, told in COMPOSE["services"].items() if "node serve" in told["command"]}
    assert service["volumes"] == [f"{name}:/home/party"], "each party's volume is its own"
    assert service["read_only"]
    if command == "tanxin node serve":
        assert given["store"] == f"/home/party/nodes/{name}.db"
        assert {each.partition("=")[0] for each in given["peer"]} == nodes - {name}
    elif command == "tanxin serve":
        assert {each.partition("=")[0] for each in given["node"]} == {each for each in nodes if each.startswith("bank")}
        assert service["environment"]["TANXIN_SCORE_GATEWAY"] == "false"
    else:
        assert command == "tanxin operator train"
        assert {each.partition("=")[0] for each in given["node"]} == nodes


def test_a_misspelt_option_is_noticed():
    with pytest.raises(click.UsageError):
        parsed(["node", "serve", "--home", "h", "--store", "s", "--pear", "x=https://y"])


def test_the_image_holds_what_the_program_needs_and_no_data():
    copied = {line.split()[1] for line in (FOLDER / "Containerfile").read_text("utf-8").splitlines() if "COPY" in line}
    assert copied >= {"pyproject.toml", "federated", "credit_api", "financing", "simulations"}
    assert not copied & {".", "tests", "var", "docs"}
