"""Model versions: the one that scores, what its scores show, each version's card, and a bank's decisions about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from fastapi.responses import Response

from credit_api.console import charts
from credit_api.console.home import MODELS
from credit_api.console.pages import Page, PageDep
from credit_api.console.posting import Post, PostDep
from credit_api.http.pipeline import id_from_key
from credit_api.http.routing import Router
from credit_api.models import governing
from federated.errors import DataMissing
from federated.governance.cards.card import Facts
from federated.governance.cards.texts import group_name, privacy_text, segment_name
from federated.governance.decisions import Act
from federated.governance.lifecycle import Event, Role, Status
from federated.governance.monitoring.drift import Verdict
from federated.governance.monitoring.feature_drift import ColumnDrift
from financing.base.commands import Id
from financing.base.context import Context

router = Router(include_in_schema=False)
# How long before an approval lapses the page begins to warn.
WARNING = timedelta(days=30)
COLUMNS_SHOWN = 6


@router.get("/console/models")
def models(page: PageDep) -> Response:
    """The model that scores, with its held-out metrics, drift, shadow and fairness; every version beside it."""
    return models_page(page)


def models_page(page: Page) -> Response:
    me = page.principal("bank", "grid", "registry").organisation_id
    at = page.parts.clock()
    try:
        oversight = page.parts.network.oversight
    except DataMissing:
        return page.render("models.html", versions=[], champion=None)
    page.note_read("monitoring")
    standing = oversight.lifecycle()
    champion = None if standing.champion is None else oversight.governance.manifest(standing.champion)
    record = None if champion is None else standing.record(champion.version)
    target = standing.rollback_target(at)
    return page.render(
        "models.html",
        versions=list(reversed(oversight.manifests())),
        champion=champion,
        standing=standing,
        at=at,
        record=record,
        lapses=record is not None and record.valid_until is not None and record.valid_until - at < WARNING,
        lapsed=record is not None and record.status(at) is Status.EXPIRED,
        rollback_to=None if target is None else standing.champions[target],
        decides=champion is not None and me in champion.participants and page.principal().kind == "bank",
        monitoring=None if champion is None else page.parts.network.monitoring(at),
        features=None if champion is None else _features(page, at),
        privacy="" if champion is None else privacy_text(champion.privacy, page.lang),
        segment_name=segment_name,
        group_name=group_name,
        fairness=() if champion is None else oversight.fairness(champion.version),
        panels=charts.metric_panels(champion.metrics, MODELS) if champion else (),
    )


@dataclass(frozen=True, slots=True)
class FeaturePanel:
    """Columns by falling drift, the first of them shown at once; the names of those that moved and of silent nodes."""

    first: list[ColumnDrift]
    others: list[ColumnDrift]
    moved: str
    drifted: bool
    unmeasured: bool
    unavailable: str


def _features(page: Page, at: datetime) -> FeaturePanel:
    drift = page.parts.network.feature_drift(at)
    ranked = drift.ranked()
    verdicts = {each.drift.verdict for each in ranked}
    comma = page.t("base.comma")
    moved = [each for each in ranked if each.drift.verdict in (Verdict.WATCH, Verdict.DRIFTED)]
    shown = max(COLUMNS_SHOWN, len(moved))
    return FeaturePanel(
        first=ranked[:shown],
        others=ranked[shown:],
        moved=comma.join(each.feature.zh if page.lang == "zh" else each.feature.en for each in moved),
        drifted=Verdict.DRIFTED in verdicts,
        unmeasured=Verdict.TOO_FEW in verdicts,
        unavailable=comma.join(page.name(each) for each in drift.unavailable),
    )


@router.get("/console/models/{version}")
def version(page: PageDep, version: Id) -> Response:
    """A version's model card, and what the acting bank may decide about it."""
    return version_page(page, version)


def version_page(page: Page, version: str) -> Response:
    me = page.principal("bank", "grid", "registry")
    at = page.parts.clock()
    oversight = page.parts.network.oversight
    card = page.parts.network.card(version, page.lang, at)
    manifest, standing = oversight.governance.manifest(version), oversight.lifecycle()
    return page.render(
        "model.html",
        card=card,
        is_facts=lambda block: isinstance(block, Facts),
        manifest=manifest,
        status=standing.status(version, at),
        role=standing.role(version),
        nominated_by=standing.nominated_by(version),
        me=me.organisation_id,
        decides=me.kind == "bank" and me.organisation_id in manifest.participants,
        displaced=me.organisation_id in governing.displaced_by(page.parts),
    )


@router.post("/console/models/rollback")
def roll_back(post: PostDep) -> Response:
    """Return to the champion before."""
    page = post.page
    page.principal("bank")
    rule = partial(governing.roll_back, page.parts)
    return _decide(post, "roll_back_model", "", "models_rolled_back", rule, models_page)


@router.post("/console/models/{version}/approval")
def approve(post: PostDep, version: Id) -> Response:
    """Approve a version as one of its banks, none of which registered it; with the last, it holds for a year."""
    return _about(
        post, "approve_model", version, _as_recorded, lambda act: governing.approve(post.page.parts, version, act)
    )


@router.post("/console/models/{version}/rejection")
def reject(post: PostDep, version: Id) -> Response:
    """Turn a version down for good."""
    return _about(
        post, "reject_model", version, "model_rejected", lambda act: governing.reject(post.page.parts, version, act)
    )


@router.post("/console/models/{version}/appointment/{role}")
def appoint(post: PostDep, version: Id, role: Role) -> Response:
    """Make a version challenger, or champion: one bank nominates, another appoints."""
    return _about(
        post,
        "appoint_model",
        version,
        _as_recorded,
        lambda act: governing.appoint(post.page.parts, version, role, act),
        why=False,
    )


@router.post("/console/models/{version}/withdrawal")
def withdraw(post: PostDep, version: Id) -> Response:
    """Take the challenger out of its role."""
    return _about(
        post,
        "appoint_model",
        version,
        "model_withdrawn",
        lambda act: governing.appoint(post.page.parts, version, None, act),
        why=False,
    )


@router.post("/console/models/{version}/retirement")
def retire(post: PostDep, version: Id) -> Response:
    """Take a version out of use for good."""
    return _about(
        post, "retire_model", version, "model_retired", lambda act: governing.retire(post.page.parts, version, act)
    )


def _as_recorded(event: Event) -> str:
    return f"model_{event.kind}"


def _about(
    post: Post,
    command: str,
    version: str,
    flash: str | Callable[[Event], str],
    rule: Callable[[Act], Event],
    *,
    why: bool = True,
) -> Response:
    post.page.principal("bank")
    return _decide(post, command, f"/{version}", flash, rule, lambda page: version_page(page, version), why=why)


def _decide(
    post: Post,
    command: str,
    path: str,
    flash: str | Callable[[Event], str],
    rule: Callable[[Act], Event],
    again: Callable[[Page], Response],
    *,
    why: bool = True,
) -> Response:
    """Decide once a form, whose key goes into the event as an API request's does; `why` asks for a note."""

    def effect(context: Context) -> Event:
        key, _ = post.idempotency()
        return rule(
            Act(
                context.actor.id, context.at, post.text("note", required=why), id_from_key("dec", context.actor.id, key)
            )
        )

    return post.commit_effect(command, effect, to=f"/console/models{path}", flash=flash, again=again)
