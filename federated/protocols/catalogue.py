"""All protocols, each with the settings that it has where nothing else is asked for.

A new protocol is a file with a class of the interface in `federated.protocols.core.protocol`, a line here, and a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from federated.errors import TrainingFailed
from federated.protocols.core.protocol import TrainingProtocol, VerticalProtocol
from federated.protocols.open.protocol import OpenProtocol
from federated.protocols.private.protocol import PrivateProtocol
from federated.protocols.protected.protocol import ProtectedProtocol
from federated.protocols.robust.protocol import RobustProtocol
from federated.protocols.strategies.named import strategy_named

# Nodes answer all of these, and their candidates are registered in this order.
VERTICAL: tuple[VerticalProtocol, ...] = (ProtectedProtocol(), OpenProtocol())
HORIZONTAL: tuple[TrainingProtocol[Any, Any, Any], ...] = (PrivateProtocol(), RobustProtocol())
PROTOCOLS: tuple[TrainingProtocol[Any, Any, Any], ...] = (*VERTICAL, *HORIZONTAL)
BOTH = "both"


def vertical_protocols(name: str) -> tuple[VerticalProtocol, ...]:
    """The vertical protocol called `name`, or all of them for `both`. Raises `KeyError` for another name."""
    chosen = tuple(protocol for protocol in VERTICAL if name in (protocol.name, BOTH))
    if not chosen:
        names = ", ".join([*(protocol.name for protocol in VERTICAL), BOTH])
        raise KeyError(f"no protocol is called {name}: {names}")
    return chosen


def averaged_by(strategy: str, protocols: Sequence[VerticalProtocol]) -> tuple[VerticalProtocol, ...]:
    """`protocols` with `strategy` for their networks. Raises `TrainingFailed` if none of them averages any."""
    strategy_named(strategy)
    if not any(protocol.averages for protocol in protocols):
        raise TrainingFailed(
            f"{', '.join(p.name for p in protocols)}: no networks are trained that {strategy} averages"
        )
    return tuple(protocol.averaged_by(strategy) for protocol in protocols)
