"""measured: what `stemfix metrics` gives for a mix, as names and values in words."""

from __future__ import annotations

from pathlib import Path

from engine.audio.buffer import AudioBuffer
from engine.report.recording import excerpt_of

#: Field of `engine.metrics.Metrics`, its name on the page, unit and decimals.
_SHOWN = (
    ("plr_db", "Peak to loudness", "dB", 1),
    ("snr_estimate_db", "Signal to noise, estimated", "dB", 1),
    ("spectral_flatness_db", "Spectral flatness", "dB", 1),
    ("rolloff_hz", "Roll-off", "Hz", 0),
    ("cutoff_hz", "Cut-off", "Hz", 0),
    ("thd_percent", "Harmonic distortion of its tone", "%", 3),
    ("comb_residue_db", "Comb residue", "dB", 2),
    ("shimmer_db", "Shimmer", "dB", 2),
    ("birdies_percent", "Birdies", "%", 2),
    ("stereo_correlation", "Stereo correlation", "", 3),
    ("mono_loss_db", "Loss in mono", "dB", 2),
)


def measured_span(frames: int, sample_rate: int, seconds: float | None) -> tuple[int, int]:
    """The frames to measure: `seconds` from the middle, or with None all of them."""
    count = frames if seconds is None else min(frames, round(seconds * sample_rate))
    start = (frames - count) // 2
    return start, start + count


def measured(buffer: AudioBuffer, span: tuple[int, int], into: Path) -> list[tuple[str, str]]:
    """Measure the frames of `span`; `into` is a path for a copy of them. What is undefined is left out."""
    from engine.metrics import describe

    part = excerpt_of(buffer, *span, into)
    found = describe(part)
    rows = []
    for field, name, unit, digits in _SHOWN:
        value = getattr(found, field, None)
        if value is not None:
            number = f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
            rows.append((name, f"{number} {unit}".strip()))
    if part is not buffer:
        into.unlink(missing_ok=True)
    return rows
