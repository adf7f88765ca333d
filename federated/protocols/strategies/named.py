"""Strategies by the text that the command line and messages carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from federated.errors import TrainingFailed
from federated.protocols.strategies.fedavg import FedAvg
from federated.protocols.strategies.fedprox import FedProx
from federated.protocols.strategies.strategy import Strategy

# Each takes what follows the colon as its arguments.
STRATEGIES: Mapping[str, Callable[..., Strategy]] = {"fedavg": FedAvg, "fedprox": FedProx}


def strategy_named(text: str) -> Strategy:
    """The strategy behind `name` or `name:number`. Raises `TrainingFailed` for another name or other settings."""
    name, _, settings = text.partition(":")
    try:
        return STRATEGIES[name](*(float(each) for each in settings.split(",") if settings))
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingFailed(f"no strategy is {text!r}; there are: {', '.join(STRATEGIES)}") from error
