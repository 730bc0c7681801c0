"""`stemfix metrics`: measure a recording, by itself and against a reference."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.metrics import AgainstReference, Metrics

_PATH = click.Path(path_type=Path)


@click.command("metrics")
@click.argument("file", type=_PATH)
@click.option(
    "--reference", type=_PATH, metavar="REF", help="What FILE should be: its clean or true version."
)
@click.option(
    "--interference",
    type=_PATH,
    multiple=True,
    metavar="OTHER",
    help="With --reference: another true stem of the mix, so that SIR can be told; may be repeated.",
)
@click.option(
    "--speech", is_flag=True, help="With --reference: PESQ and STOI, which mean nothing for singing."
)
@click.option(
    "--bss/--no-bss",
    default=None,
    help="With --reference: SDR, ISR, SIR and SAR by museval; on where it is installed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    file: Path,
    reference: Path | None,
    interference: tuple[Path, ...],
    speech: bool,
    bss: bool | None,
    as_json: bool,
) -> None:
    """Measure FILE: levels, dynamics, bandwidth, noise, comb residue, shimmer, stereo.

    With a reference, also how far FILE is from it. Both must have the same sample rate, channels
    and length. docs/metrics.md says what each figure means.
    """
    from engine.errors import OptionError
    from engine.metrics.files import measure_file
    from stemfix.console import say_json

    if reference is None and (interference or speech or bss):
        raise OptionError(
            "--interference, --speech and --bss compare FILE with something.", "Give it with --reference."
        )
    with tempfile.TemporaryDirectory(prefix="stemfix-metrics-") as folder:
        found = measure_file(
            file, Path(folder), reference, interference, with_bss_eval=bss, with_speech=speech
        )
    if as_json:
        paths = {"file": str(file), "reference": None if reference is None else str(reference)}
        say_json({**paths, **found.model_dump(mode="json")})
    else:
        _show(found, file)


def _show(found: Metrics, file: Path) -> None:
    from stemfix.console import say
    from stemfix.text import plain

    seconds = found.frames / found.sample_rate
    channels = {1: "mono", 2: "stereo"}.get(found.channels, f"{found.channels} channels")
    say(plain(f"{file}: {seconds:.2f} s, {found.sample_rate} Hz, {channels}\n".rstrip()))
    say()
    _table(_rows(found))
    if found.against_reference is not None:
        say("\nAgainst the reference:\n")
        _table(_reference_rows(found.against_reference))


_Row = tuple[str, str, str]


def _rows(found: Metrics) -> list[_Row]:
    comb = "none found" if found.comb_period is None else f"every {found.comb_period} samples"
    if found.comb_origin_rate_hz not in (None, found.sample_rate):
        comb += f" at {found.comb_origin_rate_hz} Hz"
    return [
        ("loudness", _number(found.lufs, 1, "LUFS"), ""),
        ("loudness range", _number(found.loudness_range_lu, 1, "LU"), ""),
        ("true peak", _number(found.true_peak_db, 2, "dBTP"), ""),
        ("crest factor", _number(found.crest_db, 1, "dB"), ""),
        ("peak to loudness", _number(found.plr_db, 1, "dB"), ""),
        ("SNR, at least", _number(found.snr_estimate_db, 1, "dB"), "over the steady floor"),
        ("spectral flatness", _number(found.spectral_flatness_db, 1, "dB"), "white noise has -2.5"),
        ("bandwidth, 99 %", _number(found.rolloff_hz, 0, "Hz"), ""),
        ("cut off at", _number(found.cutoff_hz, 0, "Hz", "no cutoff"), ""),
        ("THD", _number(found.thd_percent, 4, "%", "no test tone"), _tone(found)),
        ("comb residue", _number(found.comb_residue_db, 1, "dB"), comb),
        ("shimmer", _number(found.shimmer_db, 2, "dB"), "flicker of the steadiest partials"),
        ("stereo correlation", _number(found.stereo_correlation, 3), "1 is mono"),
        ("mono loss", _number(found.mono_loss_db, 1, "dB"), _worst(found)),
    ]


def _tone(found: Metrics) -> str:
    return "" if found.thd_fundamental_hz is None else f"of the tone at {found.thd_fundamental_hz:.1f} Hz"


def _worst(found: Metrics) -> str:
    if found.mono_worst_band_db is None or found.mono_worst_band_hz is None:
        return ""
    return f"{found.mono_worst_band_db:.1f} dB at {found.mono_worst_band_hz:.0f} Hz"


def _reference_rows(against: AgainstReference) -> list[_Row]:
    copy = "a copy" if against.si_sdr_db >= 200.0 else ""
    rows: list[_Row] = [
        ("SI-SDR", _number(against.si_sdr_db, 1, "dB"), copy),
        ("log-spectral distance", _number(against.log_spectral_distance_db, 2, "dB"), ""),
    ]
    for band in against.log_spectral_bands:
        where = f"  {band.low_hz:.0f} to {band.high_hz:.0f} Hz"
        rows.append((where, _number(band.distance_db, 2, "dB"), ""))
    rows += [
        ("log-mel distance", _number(against.log_mel_distance_db, 2, "dB"), ""),
        ("multi-resolution STFT", _number(against.mr_stft_distance, 3), ""),
        ("delay", _number(against.delay_samples, 3, "samples"), ""),
        ("phase coherence", _number(against.phase_coherence, 4), "1 is steady"),
    ]
    for phase in against.phase_bands:
        where = f"  {phase.low_hz:.0f} to {phase.high_hz:.0f} Hz"
        rows.append((where, _number(phase.coherence, 4), f"{phase.phase_deg:+.1f} degrees"))
    stem = {"SDR": against.sdr_db, "ISR": against.isr_db, "SIR": against.sir_db, "SAR": against.sar_db}
    rows += [(name, _number(value, 2, "dB"), "museval") for name, value in stem.items() if value is not None]
    speech = {"PESQ": against.pesq, "STOI": against.stoi}
    warning = "for speech; means nothing for singing"
    rows += [(name, _number(value, 3), warning) for name, value in speech.items() if value is not None]
    return rows


def _number(value: float | None, digits: int, unit: str = "", otherwise: str = "-") -> str:
    from stemfix.text import number_text

    return otherwise if value is None else f"{number_text(value, digits)} {unit}".rstrip()


def _table(rows: list[_Row]) -> None:
    from stemfix.console import say_table, table

    shown: Any = table("measure", "value", "", right=("value",))
    for row in rows:
        shown.add_row(*row)
    say_table(shown)
