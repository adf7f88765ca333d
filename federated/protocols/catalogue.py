"""All protocols, each with the settings that it has where nothing else is asked for.

A new protocol is a file with a class of the interface in `federated.protocols.core.protocol`, a line here, and a test.
"""

from __future__ import annotations

from typing import Any

from federated.protocols.core.protocol import TrainingProtocol, VerticalProtocol
from federated.protocols.open.protocol import OpenProtocol
from federated.protocols.private.protocol import PrivateProtocol
from federated.protocols.protected.protocol import ProtectedProtocol
from federated.protocols.robust.protocol import RobustProtocol

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
