"""make_track: one file becomes a track of the page: pictures, loudness, and its audio as page text."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from engine.audio.buffer import AudioBuffer
from engine.audio.loudness import measure_loudness
from engine.files import new_file
from engine.report.chunks import page_rate
from engine.report.flac import flac_chunks
from engine.report.metric_words import measured, measured_span
from engine.report.opus import opus_chunks
from engine.report.page_model import LoudnessRow, TrackData
from engine.report.pictures import make_pictures
from engine.report.proof_words import loudness_row
from engine.report.recording import load_recording
from engine.report.versions import TrackSource

#: Columns and rows of the pictures, and the bit rate in kbit/s: of a mix, of a stem.
MIX_PICTURE, STEM_PICTURE = (1200, 192), (800, 1)
MIX_KILOBITS, STEM_KILOBITS = 160, 80


@dataclass(frozen=True)
class Track:
    """A finished track; `embedded` is a file of the script elements that hold its audio."""

    data: TrackData
    levels: LoudnessRow
    embedded: Path
    #: What `stemfix metrics` gives, for a mix.
    metrics: list[tuple[str, str]]


def make_track(
    source: TrackSource,
    top_hz: float,
    work: Path,
    full_quality: Path | None,
    measured_s: float | None,
    check: Callable[[], None],
) -> Track:
    """Read, draw, measure and encode one track.

    Args:
        source: where its samples are.
        top_hz: highest frequency of the spectrograms.
        work: a folder for what lies between.
        full_quality: a folder in which to put the audio as FLAC too.
        measured_s: so many seconds of a mix are measured; None for all, 0 for none.
        check: called on the way; raises to stop.
    """
    raw = work / f"{source.id}.f32"
    buffer = source.buffer or load_recording(source.file, raw, source.start, source.stop)
    check()
    levels = source.levels or loudness_row("mix", asdict(measure_loudness(buffer)))
    columns, rows = STEM_PICTURE if source.is_stem else MIX_PICTURE
    columns = max(1, min(columns, buffer.frames))
    pictures = make_pictures(buffer, columns, rows, top_hz)
    check()
    metrics: list[tuple[str, str]] = []
    if not source.is_stem and measured_s != 0:
        span = measured_span(buffer.frames, buffer.sample_rate, measured_s)
        metrics = measured(buffer, span, work / f"{source.id}-measured.f32")
        check()
    audio = _at_page_rate(buffer, work / f"{source.id}-page.f32")
    kilobits = STEM_KILOBITS if source.is_stem else MIX_KILOBITS
    embedded = work / f"{source.id}.html"
    with open(embedded, "wb") as file:
        for index, encoded in enumerate(opus_chunks(audio, kilobits, work)):
            check()
            text = base64.b64encode(encoded)
            # As text of no known type: it is never run, and the browser does not even look into it.
            file.write(b'<script type="text/plain" id="audio-%s-%d">' % (source.id.encode(), index))
            file.write(text + b"</script>\n")
    if full_quality is not None:
        _write_full_quality(audio, source.id, full_quality, check)
    for path in (raw, work / f"{source.id}-page.f32"):
        path.unlink(missing_ok=True)
    data = TrackData(
        id=source.id,
        channels=buffer.channels,
        peaks=_base64(pictures.peaks),
        spectrogram=_base64(pictures.spectrogram),
        columns=columns,
        rows=rows,
        lufs=levels.lufs,
    )
    return Track(data, levels, embedded, metrics)


def _at_page_rate(buffer: AudioBuffer, path: Path) -> AudioBuffer:
    rate = page_rate(buffer.sample_rate)
    if rate == buffer.sample_rate:
        return buffer
    from engine.audio.resample import resample

    return resample(buffer, rate, path)


def _write_full_quality(audio: AudioBuffer, track: str, folder: Path, check: Callable[[], None]) -> None:
    """One script per chunk: a page that was opened from the disk may load those, and nothing else."""
    (folder / track).mkdir(parents=True)
    for index, encoded in enumerate(flac_chunks(audio)):
        check()
        with new_file(folder / track / f"{index}.js") as file:
            file.write(f'stemfixAudio("{track}",{index},"'.encode())
            file.write(base64.b64encode(encoded) + b'");\n')


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
