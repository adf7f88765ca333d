"""The operator's side of a private run: propose, sum stage by stage, and work on nothing but noisy sums."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from flwr.app import Message

from federated.errors import AggregationFailed, FederatedError
from federated.models.encoding.hats import HatBasis
from federated.models.encoding.public_ranges import PublicTable
from federated.models.encoding.ramps import FloatArray
from federated.models.learners.adam import Adam
from federated.privacy.differential.accountant import Release, epsilon_of, multiplier_for, steps_multiplier
from federated.privacy.differential.counts import calibrated
from federated.privacy.differential.edges import knots_from
from federated.privacy.differential.moments import MomentShape, solved
from federated.privacy.secure_aggregation.ring import BITS
from federated.protocols.core.messages import Arrays, Content, Switchboard, pack
from federated.protocols.core.secure_sum import secure_sum
from federated.protocols.private.model import PrivateAdditive, PrivateNetwork, PrivateRun
from federated.protocols.private.network import flat, network, parameter_count
from federated.protocols.private.plan import AdditivePlan, Circle, NetworkPlan, Plan, Stage, plan_text, run_name

EDGE_CELLS, KNOTS = 64, 6
# Shares of the budget, fixed in advance: edges and counts need little, a square root of it each.
EDGE_SHARE, COUNT_SHARE = 0.05, 0.05


def circle_of(banks: Sequence[str], weights: Sequence[int] | None = None, colluding: int = 1) -> Circle:
    """All of `banks`; the run survives dropouts as long as more than two thirds of them are left."""
    return Circle(tuple(banks), max(2 * len(banks) // 3 + 1, 2), colluding, tuple(weights or [1] * len(banks)))


def public_for(public: PublicTable, protected: bool) -> PublicTable:
    """The part of the public ranges that a plan rests on: all, or without what a lender may not decide on."""
    return public if protected else public.unprotected()


def additive_plan(
    table: PublicTable, circle: Circle, epsilon: float, delta: float, *, protected: bool = False, knots: int = KNOTS
) -> AdditivePlan:
    """A plan that costs a bank of the largest weight at most `epsilon` at `delta`; `protected` reads those too."""
    public, whole = public_for(table, protected), multiplier_for(epsilon, delta)
    shares = {"edges": EDGE_SHARE, "moments": 1.0 - EDGE_SHARE - COUNT_SHARE, "counts": COUNT_SHARE}
    multipliers = {name: whole / share**0.5 for name, share in shares.items()}
    nonce = secrets.token_hex(16)
    return AdditivePlan(table.table, public.digest, protected, circle, EDGE_CELLS, knots, nonce=nonce, **multipliers)


def network_plan(
    table: PublicTable,
    circle: Circle,
    epsilon: float,
    delta: float,
    *,
    protected: bool = False,
    hidden: int = 8,
    steps: int = 150,
    sampling: float = 0.1,
    clip: float = 1.0,
) -> NetworkPlan:
    """A plan of private gradient descent that costs at most `epsilon` at `delta`."""
    public = public_for(table, protected)
    multiplier = steps_multiplier(epsilon, delta, sampling, steps)
    size, nonce = parameter_count(public, hidden), secrets.token_hex(16)
    return NetworkPlan(
        table.table, public.digest, protected, circle, hidden, size, steps, sampling, clip, multiplier, nonce
    )


@dataclass(slots=True)
class _Sums:
    """The sums of one run over the banks that agreed."""

    board: Switchboard
    plan: Plan
    agreed: dict[str, Content]
    refused: dict[str, str]
    survivors: list[tuple[str, ...]] = field(default_factory=list)
    noisy: list[Release] = field(default_factory=list)

    def sum(self, stage: Stage, arrays: Arrays) -> tuple[FloatArray, float]:
        """Sum (length,) in units, and the standard deviation of the noise in it. Raises `AggregationFailed`."""
        circle, orgs = self.plan.circle, list(self.agreed)
        request = Content(arrays, {"run": run_name(self.plan), "stage": stage.name})
        colluders = max(circle.colluding, 1)
        total, there = secure_sum(
            self.board, orgs, stage.length, len(orgs) - 1, circle.threshold, request, colluders=colluders
        )
        self.survivors.append(tuple(sorted(there)))
        surplus = ((len(there) - circle.colluding) / circle.noisers) ** 0.5
        release = stage.release
        self.noisy.append(Release(release.multiplier * surplus, release.sampling))
        return np.asarray(total * 2.0**BITS), stage.deviation(circle, len(there))


def proposed(board: Switchboard, plan: Plan) -> _Sums:
    """Ask every bank of the plan. Raises `AggregationFailed` if fewer than the threshold agree; what

    those who agreed have reserved stays spent.
    """
    text = Content(config={"plan": plan_text(plan)})
    messages = [Message(pack(text), board.node_ids[org], "query.private_agree") for org in plan.circle.banks]
    agreed, refused = {}, {}
    for reply in board.exchange_present(messages):
        org = board.asked(reply)
        try:
            agreed[org] = board.read(reply, org)
        except FederatedError as error:
            refused[org] = error.code
    refused |= {org: "node_unavailable" for org in plan.circle.banks if org not in agreed and org not in refused}
    if len(agreed) < plan.circle.threshold:
        why = ", ".join(f"{org} {code}" for org, code in sorted(refused.items()))
        detail = f"{len(agreed)} banks agreed to the plan, {plan.circle.threshold} are needed: {why}"
        raise AggregationFailed(detail, refused=refused)
    return _Sums(board, plan, agreed, refused)


def train_additive(board: Switchboard, plan: AdditivePlan, table: PublicTable, delta: float) -> PrivateRun:
    """Edges, moments, counts: the released model is post-processing of three noisy sums. Raises `FederatedError`."""
    public = public_for(table, plan.protected)
    sums = proposed(board, plan)
    knots = {}
    if "edges" in (stage.name for stage in plan.stages(public)):
        counts, _ = sums.sum(plan.stage("edges", public), {})
        knots = knots_from(public, counts, plan.edge_cells, plan.knots)
    basis = HatBasis(public, knots)
    sent: Arrays = {f"knots/{name}": places for name, places in knots.items()}
    total, deviation = sums.sum(plan.stage("moments", public, basis), sent)
    beta = solved(total, MomentShape(basis.width, basis.blocks), deviation)
    counted, _ = sums.sum(plan.stage("counts", public), {"beta": beta})
    return _finished(sums, PrivateAdditive(basis, beta, calibrated(counted)), public, delta)


def train_network(
    board: Switchboard, plan: NetworkPlan, table: PublicTable, delta: float, *, seed: int, rate: float = 0.02
) -> PrivateRun:
    """Adam (Kingma and Ba 2015) on noisy gradients; the mean of the weights of the later half is released.

    `seed` starts the weights and has no part in sampling or noise. Raises `FederatedError`.
    """
    public = public_for(table, plan.protected)
    sums = proposed(board, plan)
    torch.manual_seed(seed)
    weights = torch.from_numpy(flat(network(public, plan.hidden))).requires_grad_()
    optimiser = Adam([weights], rate=rate)
    (stage,) = plan.stages(public)
    kept = np.zeros(stage.length)
    for step in range(plan.steps):
        total, _ = sums.sum(stage, {"weights": weights.detach().numpy()})
        weights.grad = torch.from_numpy(total)
        optimiser.step()
        if step >= plan.steps // 2:
            kept += weights.detach().numpy()
    model = PrivateNetwork(public, plan.hidden, kept / (plan.steps - plan.steps // 2))
    return _finished(sums, model, public, delta)


def _finished(sums: _Sums, model: PrivateAdditive | PrivateNetwork, public: PublicTable, delta: float) -> PrivateRun:
    plan, traffic = sums.plan, sums.board.traffic
    heaviest = plan.circle.banks[int(np.argmax(plan.circle.weights))]
    claimed = [stage.charged(plan.circle, heaviest) for stage in plan.stages(public)]
    return PrivateRun(
        plan=plan,
        run=run_name(plan),
        model=model,
        agreed=tuple(sums.agreed),
        refused=sums.refused,
        survivors=tuple(sums.survivors),
        heads={org: content.text("head") for org, content in sums.agreed.items()},
        delta=delta,
        epsilon=epsilon_of(claimed, delta),
        realised=epsilon_of(_joined(sums.noisy), delta),
        exchanges=traffic.exchanges,
        bytes=traffic.bytes,
    )


def _joined(noisy: Sequence[Release]) -> list[Release]:
    """Equal releases as one of many steps: composing each by itself would take seconds."""
    kinds = dict.fromkeys(noisy)
    return [Release(r.multiplier, r.sampling, sum(other == r for other in noisy)) for r in kinds]
