"""What each kind of certificate says: a retirement, carbon neutrality, a green-electricity certificate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from credit_api.certificates.sheet import Row, Sheet, plain, tonnes_text
from financing.base.quantities import CHINA_TIME, Period
from financing.registry.neutrality.model import STANDARD, NeutralityClaim, scope_totals
from financing.registry.oversight.overlap import GreenCertificate
from financing.registry.retirement.model import Retirement

Name = Callable[[str], str]


def retirement_sheet(retirement: Retirement, name: Name, url: str, signer: str) -> Sheet:
    """Credits used up for good, for whom and for what."""
    rows = [
        Row("受益方", "Beneficiary", name(retirement.beneficiary)),
        Row("用途", "Purpose", retirement.purpose),
        Row("注销方", "Retired by", name(retirement.retired_by)),
    ]
    if retirement.period is not None:
        rows.append(Row("抵消期间", "Emissions of", _span(retirement.period)))
    return Sheet(
        title_zh="碳普惠减排量注销证书",
        title_en="Certificate of retirement",
        number=retirement.certificate_number,
        quantity=tonnes_text(retirement.quantity),
        statement_zh=f"兹证明上述减排量已由{name(retirement.retired_by)}为{name(retirement.beneficiary)}永久注销,不可再次使用。",
        statement_en="These credits are retired for good and cannot be used again.",
        rows=tuple(rows),
        serials=retirement.serials,
        url=url,
        issued_at=retirement.retired_at,
        signer=signer,
    )


def neutrality_sheet(claim: NeutralityClaim, serials: tuple[str, ...], name: Name, url: str) -> Sheet:
    """Footprint, reductions, residual and what was retired for it. Raises `AssertionError` before it is certified."""
    assert claim.certificate_number is not None
    assert claim.decided_at is not None
    assert claim.certifier is not None
    scopes = "; ".join(f"范围 Scope {scope}: {tonnes_text(kg)}" for scope, kg in scope_totals(claim).items())
    matches = "; ".join(f"{each.certificate_number} ({tonnes_text(each.quantity)})" for each in claim.matches)
    rows = (
        Row("主体", "Entity", name(claim.entity)),
        Row("对象", "Subject", claim.subject),
        Row("边界", "Boundary", claim.boundary),
        Row("期间", "Period", _span(claim.period)),
        Row("碳足迹", "Footprint", f"{tonnes_text(claim.emitted)} ({scopes})"),
        Row("边界内减排", "Reductions inside", tonnes_text(claim.reduced)),
        Row("剩余排放", "Residual", tonnes_text(claim.residual)),
        Row("匹配注销", "Matched retirements", matches or "无需抵消 nothing to offset"),
        Row("认证机构", "Certifier", name(claim.certifier)),
        *(() if claim.signature is None else (Row("认证签名公钥", "Certifier's key", claim.signature.public_key),)),
    )
    return Sheet(
        title_zh="碳中和证书",
        title_en="Certificate of carbon neutrality",
        number=claim.certificate_number,
        quantity=tonnes_text(claim.residual),
        statement_zh=f"兹证明{claim.subject}在上述期间的剩余排放已由等量减排量注销抵消。依据 {STANDARD}。",
        statement_en=f"The residual emissions of the subject are offset by retired credits, after {STANDARD}.",
        rows=rows,
        serials=serials,
        url=url,
        issued_at=claim.decided_at,
        signer=name(claim.certifier),
        note_zh="匹配的注销量只使用一次。",
        note_en="A retired kilogram offsets once.",
    )


def green_sheet(certificate: GreenCertificate, name: Name, url: str, grid: str, at: datetime) -> Sheet:
    """Measured green electricity, and what became of the certificate on it."""
    states = {
        "available": "未出售 not sold",
        "sold": "已出售 sold",
        "frozen": "已冻结(减排量申报中) frozen: credits are claimed on this energy",
        "cancelled": "已核销(减排量已签发) cancelled: credits were issued on this energy",
    }
    return Sheet(
        title_zh="绿色电力证明",
        title_en="Green-electricity certificate",
        number=certificate.certificate_number,
        quantity=f"{plain(certificate.energy.kwh())} kWh",
        statement_zh="兹证明上述电量由可再生能源发电并经供电公司计量。",
        statement_en="This electricity was generated from renewable sources and measured by the grid company.",
        rows=(
            Row("电表", "Meter", certificate.meter_id),
            Row("期间", "Period", _span(certificate.period)),
            Row("状态", "State", states[certificate.state]),
            Row("计量方", "Measured by", name(grid)),
        ),
        serials=(),
        url=url,
        issued_at=at,
        signer=name(grid),
        note_zh="同一电量不得同时申领减排量。",
        note_en="Credits are not claimed on the same energy.",
    )


def _span(period: Period) -> str:
    return f"{period.first_day():%Y-%m-%d} – {period.last_day():%Y-%m-%d} ({CHINA_TIME.tzname(None)})"
