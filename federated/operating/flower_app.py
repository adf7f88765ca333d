"""The operator's `ServerApp` on Flower's deployment engine: SuperLink says that a run begins, channels carry it.

`flwr run` starts it at the operator, with the run's configuration: `home`, `nodes` (NAME=URL, with spaces between),
`folds`, `seed`, `cut-off`. The bundle names code that is installed already, here and at nodes (`engines.attending`).
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

from flwr.app import Context, Error, Message
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid, ServerApp

from federated.channel.client import urls_of
from federated.engines.channel import RUN_BYTES
from federated.errors import TrainingFailed
from federated.operating.nodes import operator_of
from federated.operating.telling import timed_reporter
from federated.operating.training import train
from federated.protocols.core.messages import Content, Switchboard

# How long SuperNodes may take to come up, and how long between two looks.
COMING_S, LOOK_S = 120.0, 1.0

server_app = ServerApp()


@server_app.main()
def main(grid: Grid, context: Context) -> None:
    """Have all nodes attend, over SuperLink, then train over their channels, register and hand over."""
    told = context.run_config
    home, urls = Path(str(told["home"])), urls_of(str(told["nodes"]).split())
    reporter = timed_reporter(lambda line: print(line, flush=True))  # noqa: T201 (the log of the run)
    _, operator = operator_of(home, datetime.now(UTC))
    run = attended(grid, frozenset(urls), operator)
    reporter.say(f"{len(urls)} nodes attend, as SuperLink told them")
    train(
        home, urls, folds=int(told["folds"]), seed=int(told["seed"]), cut_off=int(told["cut-off"]),
        at=datetime.now(UTC), reporter=reporter, begun=(grid.run, run),
    )  # fmt: skip


def attended(grid: Grid, names: frozenset[str], operator: str) -> bytes:
    """A run that all nodes of these names attend. Raises `TrainingFailed` for others, or where some do not come."""
    until = time.monotonic() + COMING_S
    while len(list(grid.get_node_ids())) < len(names):
        if time.monotonic() >= until:
            raise TrainingFailed(f"{len(list(grid.get_node_ids()))} of {len(names)} SuperNodes have come")
        time.sleep(LOOK_S)
    board = Switchboard(grid)
    found = frozenset(board.introduce())
    if found != names:
        raise TrainingFailed(f"SuperNodes are of {', '.join(sorted(found))}, and not of {', '.join(sorted(names))}")
    run = secrets.token_bytes(RUN_BYTES)
    board.ask("query.attend", {name: Content(config={"run": run, "operator": operator}) for name in sorted(names)})
    return run


client_app = ClientApp()


@client_app.query("hello")
@client_app.query("attend")
def not_here(message: Message, _: Context) -> Message:
    """A stock SuperNode would run this: nodes answer by themselves (`engines.attending`)."""
    reason = "start the SuperNode with --isolation process: the node itself answers"
    return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)
