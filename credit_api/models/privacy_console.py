"""Who sees what of the serving model, with what the last privacy report of this network measured."""

from __future__ import annotations

from fastapi.responses import Response

from credit_api.console.pages import PageDep
from credit_api.http.routing import Router
from federated.errors import DataMissing
from federated.governance.manifest import PRIVACY_SHARES
from federated.privacy.claims import Phase, load_claims, vertical_phases
from federated.privacy.findings import kept

router = Router(include_in_schema=False)


@router.get("/console/privacy")
def privacy(page: PageDep) -> Response:
    """The claims about the champion by party; figures only where a report measured them."""
    page.principal("bank", "grid", "registry")
    try:
        oversight = page.parts.network.oversight
    except DataMissing:
        return page.render("privacy.html", champion=None)
    standing = oversight.lifecycle()
    if standing.champion is None:
        return page.render("privacy.html", champion=None)
    champion = oversight.governance.manifest(standing.champion)
    # Whatever does not state the protection of shares is taken to have none.
    protected = champion.privacy == PRIVACY_SHARES
    claims, report = load_claims(), kept(page.parts.settings.network_home)
    at, findings = report or ("", {})
    return page.render(
        "privacy.html",
        champion=champion,
        phase=Phase.PROTECTED if protected else Phase.ZOO,
        claims=claims.of(vertical_phases(protected=protected)),
        figures=claims.figures,
        findings=findings,
        made=at[:16].replace("T", " "),
        place=0 if page.lang == "zh" else 1,
    )
