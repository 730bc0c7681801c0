"""What a job's end looks like: the table of stems, the null of the sum, and where the files are."""

from __future__ import annotations

from engine.job import FileRecord, Manifest, StemRecord
from engine.models import WHOLE
from engine.pipeline import JobResult
from engine.plan import Plan
from stemfix.console import say, say_table, table
from stemfix.text import bytes_text, count_text, number_text, plain

_STYLES = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}


def show_result(result: JobResult) -> None:
    """Print a finished job's results on stdout."""
    manifest = result.manifest
    rows = table(
        "stem",
        "level",
        "delay (samples)",
        "polarity",
        "coherence",
        "verdict",
        right=("level", "delay (samples)", "coherence"),
    )
    for stem in manifest.stems:
        rows.add_row(
            *_cells(stem), style=_STYLES.get(stem.proof.verdict) if stem.proof.verdict != "PASS" else None
        )
    say_table(rows)
    say()
    for stem in manifest.stems:
        for reason in stem.proof.reasons:
            say(f"{stem.proof.verdict} {stem.name}: {reason}")
    for repair in result.report.repairs:
        if repair.get("applied"):
            say(f"Repaired ({repair['effect']}): {repair.get('found', 'damage was found.')}")
    say(null_line(manifest))
    if (line := residual_line(manifest)) is not None:
        say(line)
    if manifest.mix is not None:
        say(f"The mix: {_lufs(manifest.mix.lufs)}, true peak {_db(manifest.mix.true_peak_db, 'dBTP')}.")
    if clipped := [record.file for record in _files(manifest) if record.clipped_samples]:
        say(f"Samples were clipped in {', '.join(clipped)}: use --format float32 to keep them.")
    done = "They were there already" if result.already_done else "The files are in"
    say(f"{done}: {plain(str(result.folder))}")


def show_plan(plan: Plan) -> None:
    """Print what a job would do on stdout."""
    channels = "mono" if plan.channels == 1 else "stereo"
    lines = [
        ("source", f"{plan.source}: {plan.container}, {plan.sample_rate} Hz, {channels}"),
        ("part", f"{plan.frames} frames, {plan.seconds:.3f} s"),
        ("preset", plan.preset),
        ("model", _model_line(plan)),
        *(("file", file) for file in plan.files),
        ("results", bytes_text(plan.bytes_of_results)),
        ("disk", f"{bytes_text(plan.disk_bytes_needed)} needed, {bytes_text(plan.disk_bytes_free)} free"),
    ]
    for name, value in lines:
        say(f"{name:<8} {plain(value)}")
    say("Nothing was done: this was a dry run.")


def _model_line(plan: Plan) -> str:
    if plan.model == WHOLE:
        return "none: the song is worked on as a whole"
    return f"{plan.model}, {count_text(plan.segments, 'segment')}"


def null_line(manifest: Manifest) -> str:
    """One sentence on how deep the stems and what was separated cancel each other."""
    return (
        f"Null depth of the sum, before the chains: {_db(manifest.null_rms_db, 'dBFS')} RMS, "
        f"{_db(manifest.null_peak_db, 'dBFS')} peak."
    )


def residual_line(manifest: Manifest) -> str | None:
    """One sentence on what the model left over, if that is known."""
    if manifest.residual_db is None:
        return None
    where = "shared out over the stems" if manifest.residual == "share" else "kept as a stem of its own"
    return f"The model left over {_db(manifest.residual_db, 'dB')} of the mix; it was {where}."


def _cells(stem: StemRecord) -> tuple[str, ...]:
    proof = stem.proof
    if proof.silent:
        return stem.name, "silent", "-", "-", "-", proof.verdict
    return (
        stem.name,
        _lufs(stem.lufs),
        number_text(proof.delay_samples, 3),
        "same" if proof.polarity >= 0 else "inverted",
        f"{proof.coherence:.4f}",
        proof.verdict,
    )


def _files(manifest: Manifest) -> list[FileRecord]:
    return [*manifest.stems, *([manifest.mix] if manifest.mix is not None else [])]


def _lufs(level: float | None) -> str:
    return "silent" if level is None or level == float("-inf") else f"{level:.1f} LUFS"


def _db(level: float | None, unit: str) -> str:
    return "-" if level is None else f"{level:.1f} {unit}"
