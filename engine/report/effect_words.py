"""effect_rows: the reports of effects and repairs, as sentences and figures that the page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.report.page_model import EffectRow

_UNITS = {
    "db": "dB",
    "hz": "Hz",
    "khz": "kHz",
    "ms": "ms",
    "s": "s",
    "ppm": "ppm",
    "lu": "LU",
    "deg": "degrees",
}
#: Keys that the page shows in a place of their own.
_OWN_PLACE = {
    "effect",
    "applied",
    "artifact",
    "synthetic",
    "found",
    "done",
    "places",
    "places_total",
    "figures",
}
_MAX_FIGURES = 14


def effect_rows(
    part: str, reports: Sequence[Mapping[str, Any]], start_s: float, end_s: float
) -> list[EffectRow]:
    """One row per report; places are cut to `[start_s, end_s]` and count from `start_s`."""
    rows = []
    for report in reports:
        figures = report.get("figures")
        plain = figures if isinstance(figures, dict) else _without(report, _OWN_PLACE)
        places = report.get("places")
        kept = _places(places if isinstance(places, list) else [], start_s, end_s)
        rows.append(
            EffectRow(
                part=part,
                effect=str(report.get("effect", "effect")),
                applied=bool(report.get("applied")),
                found=str(report.get("found", "")),
                done=str(report.get("done", "")),
                figures=[text for key, value in plain.items() if (text := figure(key, value))][:_MAX_FIGURES],
                repair="artifact" in report,
                synthetic=bool(report.get("synthetic")),
                places=kept,
                places_total=max(int(report.get("places_total") or 0), len(kept)),
            )
        )
    return rows


def figure(key: str, value: Any) -> str:
    """A key that ends in its unit, and its value, in words; nothing for what is no plain value.

    >>> figure("threshold_db", -51.13), figure("closed_share", 0.0106), figure("phase", "zero")
    ('threshold \N{MINUS SIGN}51.1 dB', 'closed 1.1 %', 'phase zero')
    """
    words = key.split("_")
    if isinstance(value, bool):
        return " ".join(words) if value else ""
    if isinstance(value, str):
        return f"{' '.join(words)} {value}" if value else ""
    if not isinstance(value, (int, float)):
        return ""
    if words[-1] == "share":
        return f"{' '.join(words[:-1])} {100 * value:.1f} %"
    unit = _UNITS.get(words[-1], "")
    name = " ".join(words[:-1] if unit else words)
    number = (f"{value:.1f}" if unit == "dB" else f"{value:.4g}").replace("-", "\N{MINUS SIGN}")
    return f"{name} {number} {unit}".strip()


def _without(report: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key not in keys}


def _places(places: Sequence[Any], start_s: float, end_s: float) -> list[dict[str, float]]:
    kept = []
    for place in places:
        if not isinstance(place, dict) or "start_s" not in place or "end_s" not in place:
            continue
        first, last = max(float(place["start_s"]), start_s), min(float(place["end_s"]), end_s)
        if last < first:
            continue
        bounds = {name: float(place[name]) for name in ("low_hz", "high_hz") if place.get(name) is not None}
        kept.append({"start_s": round(first - start_s, 4), "end_s": round(last - start_s, 4), **bounds})
    return kept
