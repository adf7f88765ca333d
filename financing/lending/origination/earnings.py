"""What a registered plant will still earn, as security for a loan: its electricity bills, or its future reductions.

Both are valued at P90 generation, discounted, when they are given; the workings are kept. They are never issued
credits: nothing of them is on the ledger, and a bank lends on them only the product's advance.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from financing.base.commands import Command, Id, Measure, Sha256, use_case
from financing.base.context import Context
from financing.base.errors import NotPermitted, PriceMissing
from financing.base.parameters.risk import StreamRule
from financing.base.quantities import Money, Rate, business_date
from financing.lending.origination.securities import Security
from financing.lending.origination.security_store import StoredSecurity
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import Marked
from financing.registry.projects.model import Project
from financing.valuation.marks import marks_of
from financing.valuation.price_models.forward_curve import CarryCurve
from financing.valuation.streams.income import FutureStream, value_stream
from financing.valuation.streams.pv_yield import YieldModel, calibrated
from financing.valuation.streams.receivables import ElectricityReceivable, value_receivable

RULE = "pv_suzhou"
FEN = 100
_CALIBRATED: dict[tuple[str, str], YieldModel] = {}


Share = Annotated[
    Rate, Measure(Rate, "_bps", 1, "0.01 %", least=0, most=10_000), Field(description="basis points of the whole")
]


class GiveEarnings(Command):
    """What a plant of the issuer will earn: `receivable` electricity bills (share: used on the roof's own site), or an
    `income_stream` of future reductions (share: claimed by nobody else)."""

    bank_id: Id
    project_id: Id
    kind: Literal["receivable", "income_stream"]
    years: int = Field(strict=True, ge=1, le=25)
    share_bps: Share
    evidence_sha256: Sha256 = Field(description="of the contract")


@use_case
def give_earnings(unit: UnitOfWork, context: Context, command: GiveEarnings) -> StoredSecurity:
    """Offer a plant's earnings to a bank, as the project's owner.

    Raises `NotPermitted` (no plant of the actor's, offered already), `RiskInputInvalid`, `PriceMissing` (a stream
    whose class has no mark), `ParameterMissing`.
    """
    unit.organisations.require_kind(command.bank_id, "bank")
    project = unit.projects.get(command.project_id)
    context.require_party(project.owner)
    if project.capacity_w is None:
        raise NotPermitted("only a metered plant earns by generation", project_id=project.project_id)
    for known in unit.securities.of_organisation(context.actor.id):
        if known.state in {"offered", "posted"} and known.record.get("project_id") == project.project_id:
            raise NotPermitted("the plant's earnings are given already", security_id=known.security.security_id)
    on = business_date(context.at)
    rule = context.parameters.stream_rule(RULE, on)
    start = date(on.year + on.month // 12, on.month % 12 + 1, 1)
    start = max(start, project.grid_connected_on)
    value, workings = _valued(unit, context, command, project, rule, start)
    security = Security(
        security_id=context.new_id("sec"),
        kind=command.kind,
        provider=context.actor.id,
        bank=command.bank_id,
        borrower=context.actor.id,
        value=value,
        since=start,
        valid_until=date(start.year + command.years, start.month, 1),
    )
    record = {"project_id": project.project_id, "rule": RULE, "rule_sha256": rule.version_hash, **workings}
    unit.securities.add(security, command.evidence_sha256, record, context.at)
    return unit.securities.get(security.security_id)


def _valued(
    unit: UnitOfWork, context: Context, command: GiveEarnings, project: Project, rule: StreamRule, start: date
) -> tuple[Money, dict[str, Any]]:
    """The value at P90 and its workings: month by month, or year by year."""
    assert project.capacity_w is not None
    connected, yields = project.grid_connected_on, _yields(rule)
    if command.kind == "receivable":
        start = start if start.day == 1 else date(start.year + start.month // 12, start.month % 12 + 1, 1)
        months = ElectricityReceivable(
            project.project_id, project.capacity_w, connected, start, command.years * 12, command.share_bps
        )
        bills = value_receivable(months, rule, yields)
        rows = [{"from": str(r.starts_on), "kwh": r.energy_p90.wh // 1000, "fen": r.present.fen} for r in bills.rows]
        return bills.at_p90, {"share_bps": command.share_bps.bps, "months": rows}
    mark = marks_of(unit, context.parameters, [rule.price_class], context.at)[rule.price_class]
    if not isinstance(mark, Marked):
        raise PriceMissing("future reductions are valued at a mark, and there is none", asset_class=rule.price_class)
    factor = context.parameters.grid_factor(rule.factor_key, business_date(context.at)).factor
    stream = FutureStream(project.project_id, project.capacity_w, connected, start, command.years, command.share_bps)
    worth = value_stream(stream, rule, yields, factor, CarryCurve(mark.price.amount / FEN, 0.0))
    years = [{"year": r.number, "kg": r.reduction_p90.kg, "fen": r.at_p90.fen} for r in worth.rows]
    return worth.at_p90, {"share_bps": command.share_bps.bps, "price_fen": mark.price.amount, "years": years}


def _yields(rule: StreamRule) -> YieldModel:
    """The yield distribution of a rule; finding it takes a second, so each version of a rule is calibrated once."""
    key = (rule.key, rule.version_hash)
    if key not in _CALIBRATED:
        _CALIBRATED[key] = calibrated(rule)
    return _CALIBRATED[key]
