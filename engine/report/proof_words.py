"""alignment_rows and loudness_row: a job's report as the rows of the page's tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.report.page_model import AlignmentRow, BandRow, LoudnessRow

_LEVELS = ("lufs", "loudness_range_lu", "true_peak_db", "crest_db")


def alignment_rows(report: Mapping[str, Any]) -> list[AlignmentRow]:
    """The repaired recording, where there is one, and every stem; from `alignment` of a job's report."""
    alignment = _mapping(report.get("alignment"))
    rows = []
    repair = _mapping(alignment.get("repair"))
    if repair:
        rows.append(_row("the repaired recording", repair))
    rows += [_row(str(name), _mapping(found)) for name, found in _mapping(alignment.get("stems")).items()]
    return rows


def loudness_row(part: str, levels: Mapping[str, Any]) -> LoudnessRow:
    """Levels by their names in `engine.audio.loudness.Loudness`; those that are missing stay open."""
    return LoudnessRow(part=part, **{name: levels.get(name) for name in _LEVELS})


def mix_levels(report: Mapping[str, Any], which: str) -> dict[str, Any] | None:
    """What the job measured of its `source` or its `mix`; None where it did not."""
    found = _mapping(_mapping(_mapping(report.get("mix")).get("loudness")).get(which))
    return dict(found) if all(name in found for name in _LEVELS) else None


def _row(part: str, found: Mapping[str, Any]) -> AlignmentRow:
    bands = found.get("bands")
    return AlignmentRow(
        part=part,
        verdict=str(found.get("verdict", "WARN")),
        reasons=[str(reason) for reason in found.get("reasons") or []],
        delay_samples=found.get("delay_samples"),
        polarity=found.get("polarity"),
        gain_db=found.get("gain_db"),
        coherence=found.get("coherence"),
        drift_ppm=found.get("drift_ppm"),
        bands=[BandRow.model_validate(band) for band in bands] if isinstance(bands, list) else [],
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
