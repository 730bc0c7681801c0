"""`stemfix align`: measure how one file lies against another, and write a corrected copy."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.alignment.files import FileComparison

_PATH = click.Path(path_type=Path)


@click.command("align")
@click.argument("a", type=_PATH)
@click.argument("b", type=_PATH)
@click.option(
    "--fix", type=_PATH, metavar="OUT", help="Write B without its delay and inverted polarity to OUT."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(a: Path, b: Path, fix: Path | None, as_json: bool) -> int:
    """Measure how B lies against A: delay, polarity, gain, phase and coherence.

    OUT is a new file with B's length, rate and sample format. B itself is never touched.
    The exit status is 3 if the verdict is FAIL (with --fix: if it still is).
    """
    from engine.alignment.files import compare_files, fix_file
    from engine.alignment.verdict import Verdict
    from stemfix.console import say, say_json
    from stemfix.text import plain

    with tempfile.TemporaryDirectory(prefix="stemfix-align-") as folder:
        found = compare_files(a, b, Path(folder)) if fix is None else fix_file(a, b, fix)
    fixed = None
    if fix is not None:
        with tempfile.TemporaryDirectory(prefix="stemfix-align-") as folder:
            fixed = compare_files(a, fix, Path(folder))
    if as_json:
        corrected = None if fixed is None else fixed.model_dump(mode="json")
        say_json({**found.model_dump(mode="json"), "fixed": corrected})
    else:
        _show(found)
        if fixed is not None:
            say(f"\nThe corrected copy against A: {_summary(fixed)}")
            say(f"It is in: {plain(str(fix))}")
    return 3 if (fixed or found).judgement.verdict is Verdict.FAIL else 0


def _show(found: FileComparison) -> None:
    from stemfix.console import say, say_table, table
    from stemfix.text import number_text, plain

    alignment = found.alignment
    say(f"B against A: {_summary(found)}")
    for reason in found.judgement.reasons:
        say(f"  {reason}")
    for note in found.notes:
        say(plain(f"  Note: {note}"))
    if found.null is not None:
        say(f"A - B: {found.null.rms_db:.1f} dBFS RMS, {found.null.peak_db:.1f} dBFS peak.")
    if alignment.identical:
        say("Every sample is the same.")
    if alignment.bands:
        rows = table("band", "level (dB)", "gain (dB)", "phase (degrees)", "coherence")
        for column in rows.columns[1:]:
            column.justify = "right"
        for band in alignment.bands:
            rows.add_row(
                f"{band.low_hz:.0f} to {band.high_hz:.0f} Hz",
                number_text(band.level_db, 1),
                number_text(band.gain_db, 1, sign=True),
                number_text(band.phase_deg, 1, sign=True),
                number_text(band.coherence, 4),
            )
        say()
        say_table(rows)


def _summary(found: FileComparison) -> str:
    """The verdict, and the numbers on a line of their own."""
    from stemfix.text import number_text

    alignment, verdict = found.alignment, found.judgement.verdict.value
    if alignment.silent:
        return f"{verdict}, silent"
    polarity = "same" if alignment.polarity > 0 else "inverted"
    parts = [
        f"delay {number_text(alignment.delay_samples, 3)} samples",
        f"polarity {polarity}",
        f"gain {number_text(alignment.gain_db, 2, sign=True)} dB",
        f"coherence {number_text(alignment.coherence, 4)}",
    ]
    if alignment.drift_ppm is not None:
        parts.append(f"drift {number_text(alignment.drift_ppm, 2, sign=True)} ppm")
    return f"{verdict}\n  {', '.join(parts)}"
