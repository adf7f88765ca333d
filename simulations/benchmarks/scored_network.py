"""A small network of generated firms with a champion, for measurements that need scores and not their quality."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from federated.consent.instants import Clock, system_clock
from federated.governance.decisions import Act
from federated.governance.lifecycle import Role
from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance
from federated.protocols.open.protocol import OpenProtocol
from federated.protocols.open.run import ADDITIVE
from federated.protocols.open.settings import ConvexSettings, ZooSettings
from federated.protocols.operator_run import Reporter
from federated.serving import Network
from simulations.experiments.vertical_credit.pipeline import run
from simulations.worlds.credit_nodes import CreditTables
from simulations.worlds.credit_population import generate_population


def scored_network(home: Path, firms: int, at: datetime, clock: Clock = system_clock) -> tuple[Network, CreditTables]:
    """Train on generated firms under `home`, approve and appoint at `at`, and open with the nodes' `clock`.

    The caller closes it.
    """
    tables = generate_population(firms, seed=1)
    settings = ZooSettings(folds=2, repeats=(), bins=12, ramps=6, convex=ConvexSettings((8.0,), 2, 4, 2, 2))
    quiet = Reporter(lambda _: None, lambda *_: None)
    protocols = [OpenProtocol(settings, ADDITIVE)]
    # So few customers would tell of each other, were they anybody.
    result = run(tables, folds=1, protocols=protocols, at=at, home=home, reporter=quiet, least_rows=0)
    governance = Governance(home, ModelRegistry(home))
    version = result.manifests[0].version
    banks = sorted(result.manifests[0].banks)
    for bank in banks:
        governance.approve(version, Act(bank, at))
    for bank in banks[:2]:
        governance.appoint(version, Role.CHAMPION, Act(bank, at))
    return Network.open(home, clock), tables
