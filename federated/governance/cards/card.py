"""The model card of a version, with the sections of Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).

Built once as sections, then rendered: as Markdown by `card_markdown`, as a page by the console. Every number comes from
the manifest, the log of decisions or the monitoring; what was not measured is said to be so and never shown as zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from federated.consent.record import utc
from federated.governance.cards.texts import TEXTS, group_name, offered_text, privacy_text, segment_name
from federated.governance.lifecycle import Lifecycle
from federated.governance.manifest import Manifest
from federated.governance.monitoring.drift import Drift
from federated.governance.monitoring.fairness import GroupFairness, fairness
from federated.words import Language

FIGURES = ("auc", "ks", "brier", "ece")
SMALL_CHANCE = 0.0001


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms with their values."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A captioned table; every row has as many cells as the header."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it: paragraphs, facts and tables."""

    title: str
    blocks: tuple[str | Facts | Table, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A whole card in one language."""

    title: str
    language: Language
    sections: tuple[Section, ...]


def model_card(
    manifest: Manifest,
    standing: Lifecycle,
    at: datetime,
    language: Language,
    drift: Mapping[str, Drift] | None = None,
) -> Card:
    """The card as of `at`. `drift` is of the scores by basis, None if none were monitored.

    Raises `VersionNotFound`.
    """
    words = _Words(language)
    sections = (
        _details(words, manifest, standing, utc(at)),
        _intended_use(words, manifest),
        _factors(words, manifest),
        Section(words("metrics"), (words("metrics_text"), Facts(((words("cut_off"), str(manifest.cut_off)),)))),
        _evaluation_data(words, manifest),
        _training_data(words, manifest),
        _analyses(words, manifest, drift),
        _ethics(words, manifest),
        _caveats(words, manifest),
    )
    return Card(f"{words('title')}: {manifest.model} {manifest.version}", language, sections)


@dataclass(frozen=True, slots=True)
class _Words:
    """Words and numbers in one language."""

    language: Language

    def __call__(self, key: str) -> str:
        return TEXTS.text(self.language, key)

    def name(self, prefix: str, value: str) -> str:
        return TEXTS.text_or(self.language, f"{prefix}.{value}", value)

    def number(self, value: float | None, digits: int = 4) -> str:
        return self("not_measured") if value is None else f"{value:.{digits}f}"

    def chance(self, p_value: float | None) -> str:
        """A small p-value is not a zero."""
        return "< 0.0001" if p_value is not None and p_value < SMALL_CHANCE else self.number(p_value)

    def count(self, value: float | None) -> str:
        return self("not_measured") if value is None else f"{value:,.0f}"

    def moment(self, value: datetime | None) -> str:
        return self("none") if value is None else f"{utc(value):%Y-%m-%d %H:%M} UTC"

    def listed(self, values: Iterable[str]) -> str:
        return ("、" if self.language == "zh" else ", ").join(values) or self("none")

    def header(self, *keys: str) -> tuple[str, ...]:
        return tuple(TEXTS.text_or(self.language, key, key) for key in keys)


def _details(words: _Words, manifest: Manifest, standing: Lifecycle, at: datetime) -> Section:
    record = standing.record(manifest.version)
    role = standing.role(manifest.version)
    facts = Facts(
        (
            (words("version"), f"{manifest.model} {manifest.version}"),
            (words("status"), f"{words.name('status', record.status(at))} ({words.moment(at)})"),
            (words("role"), words("none") if role is None else words.name("role", role)),
            (words("created_at"), words.moment(manifest.created_at)),
            (words("registered_by"), manifest.registered_by),
            (words("approved_by"), record.approved_by or words("none")),
            (words("valid_until"), words.moment(record.valid_until)),
            (words("learners"), words.listed(manifest.learners)),
            (words("offered"), offered_text(manifest.config.get("offered"), words.language)),
            (words("explanation"), words.name("explanation", manifest.explanation)),
            (words("schema"), f"{manifest.schema_id} {manifest.schema_version}"),
            (words("seed"), str(manifest.seed)),
            (words("weights"), manifest.weights_sha256),
        )
    )
    rows = tuple(
        (str(e.number), words.moment(e.at), e.by, _what(words, e.kind, e.details.get("role")), e.note)
        for e in standing.events
        if e.version == manifest.version
    )
    return Section(
        words("details"), (facts, Table(words("history"), words.header("number", "at", "by", "event", "note"), rows))
    )


def _what(words: _Words, kind: str, role: str | None) -> str:
    done = words.name("kind", kind)
    return done if role is None else f"{done}: {words.name('role', role)}"


def _intended_use(words: _Words, manifest: Manifest) -> Section:
    facts = Facts(((words("participants"), words.listed(manifest.participants)),))
    return Section(words("intended_use"), (words("use_text"), facts))


def _factors(words: _Words, manifest: Manifest) -> Section:
    segments = dict.fromkeys(segment_name(each.segment, words.language) for each in manifest.segments)
    columns = [(words("columns"), manifest.columns), (words("excluded"), manifest.excluded_columns)]
    facts = [
        (f"{label} ({words.name('party', party)})", words.listed(names))
        for label, by_party in columns
        for party, names in sorted(by_party.items())
    ]
    measured = words.listed(segments) if segments else words("not_measured")
    return Section(words("factors"), (Facts(((words("segments"), measured), *facts)),))


def _evaluation_data(words: _Words, manifest: Manifest) -> Section:
    rows = manifest.metrics.get("federated", {}).get("rows")
    facts = Facts(
        (
            (words("origin"), words.name("origin", manifest.data_origin)),
            (words("folds"), words.listed(str(fold + 1) for fold in manifest.held_out_folds)),
            (words("rows"), words.count(rows)),
        )
    )
    return Section(words("evaluation_data"), (facts,))


def _training_data(words: _Words, manifest: Manifest) -> Section:
    aligned = tuple((pair, words.count(rows)) for pair, rows in sorted(manifest.aligned_rows.items()))
    hashes = tuple(sorted(manifest.data_sha256.items()))
    consent = (words("purpose"), words.name("purpose", manifest.purpose))
    return Section(
        words("training_data"),
        (
            Facts(
                (
                    (words("origin"), words.name("origin", manifest.data_origin)),
                    (words("fitted_on"), words("fitted_on.all" if manifest.refit else "fitted_on.fold")),
                    consent,
                )
            ),
            Table(words("aligned"), words.header("pair", "rows"), aligned),
            Table(words("data_hash"), words.header("party", "data_hash"), hashes),
        ),
    )


def _analyses(words: _Words, manifest: Manifest, drift: Mapping[str, Drift] | None) -> Section:
    metrics = tuple(
        (
            words.name("model", name),
            *(_with_spread(words, figures, key) for key in FIGURES),
            words.count(figures.get("rows")),
        )
        for name, figures in sorted(manifest.metrics.items())
    )
    return Section(
        words("analyses"),
        (
            Table(words("metrics"), (words("model"), "AUC", "KS", "Brier", "ECE", words("rows")), metrics),
            _calibration(words, manifest),
            _or_not(words, "by_segment", _segments(words, manifest)),
            words("drift_text"),
            _or_not(words, "score_drift", _drift(words, drift or {})),
        ),
    )


def _with_spread(words: _Words, figures: Mapping[str, float], key: str) -> str:
    """A mean over folds and its standard deviation, where there were several."""
    spread = figures.get(f"{key}_sd")
    return words.number(figures.get(key)) + ("" if spread is None else f" ± {words.number(spread)}")


def _or_not(words: _Words, key: str, table: Table) -> Table | Facts:
    """A table with rows, or the statement that there is nothing to put into it."""
    return table if table.rows else Facts(((words(key), words("not_measured")),))


def _calibration(words: _Words, manifest: Manifest) -> Table | Facts:
    rows = tuple(_figures(words, "", manifest.calibration))
    return _or_not(words, "calibration", Table(words("calibration"), words.header("figure", "value"), rows))


def _figures(words: _Words, stem: str, figures: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Named values in order, those within others as `outer.inner`."""
    for key, value in sorted(figures.items()):
        if isinstance(value, Mapping):
            yield from _figures(words, f"{stem}{key}.", value)
        else:
            shown = words.name("method", value) if key == "method" and isinstance(value, str) else _plain(words, value)
            yield words.name("figure", f"{stem}{key}"), shown


def _plain(words: _Words, value: object) -> str:
    if isinstance(value, bool):
        return words("yes") if value else words("no")
    if value is None or isinstance(value, float):
        return words.number(value)
    if isinstance(value, list | tuple):
        return words.listed(str(each) for each in value)
    return str(value)


def _segments(words: _Words, manifest: Manifest) -> Table:
    rows = tuple(
        (
            segment_name(each.segment, words.language),
            group_name(each.segment, each.group, words.language),
            words.count(each.rows),
            words.count(each.defaults),
            words.count(each.approved),
            words.number(each.auc),
            words.number(each.brier),
            words.number(each.ece),
        )
        for each in manifest.segments
    )
    header = words.header("segment", "group", "rows", "defaults", "approved")
    return Table(words("by_segment"), (*header, "AUC", "Brier", "ECE"), rows)


def _drift(words: _Words, drift: Mapping[str, Drift]) -> Table:
    rows = tuple(
        (
            words.name("basis", basis),
            words.count(moved.rows),
            words.number(moved.psi if moved.rows else None),
            words.chance(moved.p_value if moved.rows else None),
            words.name("verdict", moved.verdict),
        )
        for basis, moved in sorted(drift.items())
    )
    return Table(words("score_drift"), words.header("basis", "rows", "PSI", "p_value", "verdict"), rows)


def _ethics(words: _Words, manifest: Manifest) -> Section:
    rows = tuple(_fairness_row(words, each) for each in fairness(manifest.segments))
    header = words.header(
        "segment", "group", "benchmark", "approval_rate", "impact_ratio", "p_value", "opportunity", "calibration_gap"
    )
    spent = words.listed(f"{who} {words.number(epsilon)}" for who, epsilon in sorted(manifest.privacy_spent.items()))
    privacy = (words("privacy"), privacy_text(manifest.privacy, words.language))
    facts = Facts((privacy, (words("privacy_spent"), spent if manifest.privacy_spent else words("not_measured"))))
    table = Table(words("fairness"), (*header, words("flagged")), rows)
    return Section(
        words("ethics"), (words("fairness_text"), _or_not(words, "fairness", table), words("consent_text"), facts)
    )


def _fairness_row(words: _Words, of: GroupFairness) -> tuple[str, ...]:
    flag = words("not_measured") if of.impact_ratio is None else words("yes" if of.flagged else "no")
    return (
        segment_name(of.segment, words.language),
        group_name(of.segment, of.group, words.language),
        group_name(of.segment, of.benchmark, words.language) if of.benchmark else words("none"),
        words.number(of.approval_rate),
        words.number(of.impact_ratio),
        words.chance(of.p_value),
        words.number(of.opportunity_difference),
        words.number(of.calibration_gap),
        flag,
    )


def _caveats(words: _Words, manifest: Manifest) -> Section:
    origin = "generated_text" if manifest.data_origin == "generated" else "origin_text"
    return Section(words("caveats"), (words(origin), words("one_logit_text"), words("yearly_text")))
