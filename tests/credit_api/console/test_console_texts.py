"""Every text exists in both languages, and every key a page asks for exists."""

import re
from string import Formatter

import pytest

from credit_api.app.errors import STATUS
from credit_api.console.navigation import KINDS, LINKS
from credit_api.console.pages import HERE
from credit_api.console.texts import TEXTS, text
from federated.consent.record import DataScope, Purpose
from federated.governance.lifecycle import Role, Status
from federated.governance.monitoring.drift import Verdict
from federated.serving import Basis
from financing.ledger.accounts import AccountKind
from financing.ledger.entries import EntryKind
from financing.lending.collateral.coverage import CoverageStatus
from financing.lending.collateral.disposal import DisposalGround
from financing.lending.collateral.pledge import PledgeState
from financing.lending.loans.loan import LoanState
from financing.registry.verification.monitoring import MonitoringState

SERVICE = HERE.parent
SOURCES = sorted([*SERVICE.glob("*/templates/*.html"), *SERVICE.glob("**/*.py")])
ASKED = re.compile(r"""\bt\(\s*['"]([a-z0-9_.]+)['"]\s*[,)]""")


def says_texts(source):
    return source.stem.endswith("texts") or "texts" in source.parts


def fields(template):
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def test_both_languages_say_something_about_the_same_values():
    assert [key for key, (zh, en) in TEXTS.items() if not zh.strip() or not en.strip()] == []
    assert [key for key, (zh, en) in TEXTS.items() if fields(zh) != fields(en)] == []


def test_every_key_that_a_page_asks_for_exists():
    asked = {key for source in SOURCES for key in ASKED.findall(source.read_text("utf-8"))}
    assert len(asked) > 300
    assert asked - set(TEXTS) == set()


def test_every_message_of_a_command_exists():
    keys = {key for source in SERVICE.glob("**/*.py") for key in re.findall(r'flash="([a-z_]+)"', source.read_text())}
    assert len(keys) > 15
    assert {f"flash.{key}" for key in keys} <= set(TEXTS)


def test_every_state_code_and_kind_has_a_name():
    groups = {
        "kind": KINDS,
        "coverage": CoverageStatus,
        "pledgestate": PledgeState,
        "loanstate": LoanState,
        "tradestate": ("open", "sold", "withdrawn", "expired"),
        "periodstate": MonitoringState,
        "account": AccountKind,
        "entry": EntryKind,
        "ground": DisposalGround,
        "purpose": Purpose,
        "scope": DataScope,
        "basis": Basis,
        "modelstatus": Status,
        "modelrole": Role,
        "drift": Verdict,
        "errors": STATUS,
        "begin": KINDS,
        "callstate": ("open", "cured", "closed"),
        "decided": ("approve", "refer", "decline"),
        "outcome": ("score", "no_file", "refused"),
        "mark": ("missing", "stale", "implausible"),
    }
    missing = [f"{group}.{name}" for group, names in groups.items() for name in names if f"{group}.{name}" not in TEXTS]
    assert missing == []
    assert {link.key for link in LINKS} <= set(TEXTS)


def test_no_text_is_left_over():
    """A text that nothing asks for is a page that changed; dynamic groups are asked for by their first part."""
    sources = "\n".join(source.read_text("utf-8") for source in SOURCES if not says_texts(source))
    dynamic = set(re.findall(r"""t\(\s*['"]([a-z_.]+\.)['"]\s*~""", sources)) | {
        "callstate.",
        "decided.",
        "pledgestate.",
        "loanstate.",
        "flash.",
        "errors.",
        "field.",
    }
    unused = [
        key
        for key in TEXTS
        if f'"{key}"' not in sources and f"'{key}'" not in sources and not key.startswith(tuple(dynamic))
    ]
    assert unused == []


def test_an_unknown_key_is_an_error():
    with pytest.raises(KeyError):
        text("zh", "no.such.key")


def test_no_line_of_a_template_or_a_text_is_too_long_to_read():
    root = SERVICE.parent
    files = [*root.glob("credit_api/**/*.html"), *root.glob("simulations/**/*.html")]
    files += [each for each in root.glob("*/**/*.py") if says_texts(each) and ".venv" not in each.parts]
    assert len(files) > 60
    long = {
        f"{each.relative_to(root)}:{number}"
        for each in files
        for number, line in enumerate(each.read_text("utf-8").splitlines(), start=1)
        if len(line) > 160
    }
    assert long == set()
