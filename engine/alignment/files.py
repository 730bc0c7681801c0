"""Alignment of two files: compare B with A, and write a corrected copy of B."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from engine.alignment.correct import correct
from engine.alignment.estimate import estimate_alignment
from engine.alignment.model import Alignment
from engine.alignment.null_depth import NullDepth, null_depth_db
from engine.alignment.verdict import Judgement, judge
from engine.audio.buffer import AudioBuffer
from engine.audio.output_format import OutputFormat
from engine.audio.read import SourceInfo, probe, read_audio
from engine.audio.resample import resample
from engine.audio.wav_metadata import WavMetadata, read_metadata
from engine.audio.write import write_audio
from engine.errors import OptionError, OutputError
from engine.files import publish_file
from engine.progress import Progress
from engine.version import ENGINE_VERSION
from engine.workspace import Workspace

#: Delays up to this are found, which covers every codec and every plug-in.
MAX_LAG_S = 1.0
#: Buffers of a file's size that are on the disk at the peak, counted generously.
_BUFFERS_AT_PEAK = 6
_BITS_16 = ("PCM_16", "PCM_S8", "PCM_U8")
_BITS_24 = ("PCM_24", "PCM_32")


class FileComparison(BaseModel):
    """How file `b` lies against file `a`."""

    model_config = ConfigDict(frozen=True)

    a: str
    b: str
    #: Of A; delays count samples at this rate.
    sample_rate: int
    alignment: Alignment
    judgement: Judgement
    #: Level of A - B, None where their shapes differ.
    null: NullDepth | None
    #: What differed and how it was dealt with, one sentence each.
    notes: list[str]


def compare_files(a: Path, b: Path, workdir: Path, progress: Progress | None = None) -> FileComparison:
    """Measure `b` against `a`; temporary buffers go into `workdir`, which must exist.

    Where they differ, B is resampled to A's rate, and the mono sums are compared; notes say so.

    Raises:
        InputError: a file can't be read or is silent.
    """
    progress = progress or Progress()
    reference_info, other_info = probe(a), probe(b)
    notes: list[str] = []
    reference = read_audio(reference_info, 0, reference_info.frames, workdir / "a.f32", progress)
    other = read_audio(other_info, 0, other_info.frames, workdir / "b.f32", progress)
    rate = reference.sample_rate
    if other.sample_rate != rate:
        notes.append(f"{b.name} was resampled from {other.sample_rate} to {rate} Hz for the comparison.")
        other = resample(other, rate, workdir / "b-resampled.f32")
    if other.frames != reference.frames:
        extra = other.frames - reference.frames
        longer = b if extra > 0 else a
        notes.append(f"{longer.name} is longer by {abs(extra)} samples ({abs(extra) / rate:.3f} s).")
    if other.channels != reference.channels:
        notes.append("One file is mono and one is stereo, so their mono sums are compared.")
        reference, other = _mono(reference, workdir / "a-mono.f32"), _mono(other, workdir / "b-mono.f32")
    progress.check()
    alignment = estimate_alignment(reference, other, max_lag=max(4096, round(MAX_LAG_S * rate)))
    return FileComparison(
        a=str(a),
        b=str(b),
        sample_rate=rate,
        alignment=alignment,
        judgement=judge(alignment),
        null=null_depth_db([other], reference) if other.shape == reference.shape else None,
        notes=notes,
    )


def fix_file(a: Path, b: Path, out: Path, progress: Progress | None = None) -> FileComparison:
    """Write a copy of `b` that lies on `a` to the new file `out`; returns the comparison before that.

    The copy has B's length, rate, channels, sample format and metadata, with one more line of coding history;
    the ending of `out` says WAV or FLAC. Lossy formats become float WAV. It appears whole or not at all.

    Raises:
        AlignmentError: the difference is none, or not one that a shift may correct; nothing is written.
        OutputError: `out` exists, its folder does not, or it can't be written.
        OptionError: `out` has another ending than the format that is kept.
    """
    progress = progress or Progress()
    info = probe(b)
    output_format = own_format(info)
    if out.suffix.lower() != output_format.extension:
        raise OptionError(
            f"{out} would be a {output_format.value} file.",
            f"Give a name that ends in {output_format.extension}.",
        )
    if os.path.lexists(out):
        raise OutputError(f"{out} exists and is never overwritten.", "Choose another name.")
    if not out.parent.is_dir():
        raise OutputError(f"{out} can't be written: its folder does not exist.", "Create the folder first.")
    reference = probe(a)
    samples = info.frames * info.channels + reference.frames * reference.channels
    with Workspace(out.parent, "align", _BUFFERS_AT_PEAK * 4 * samples) as work:
        workdir = work.path()
        comparison = compare_files(a, b, workdir, progress)
        alignment = _at_rate(comparison.alignment, info.sample_rate)
        source = AudioBuffer.open(workdir / "b.f32", info.channels, info.frames, info.sample_rate)
        corrected = correct(source, alignment, workdir / "corrected.f32")
        whole = workdir / f"corrected{out.suffix}"
        metadata = _metadata(b, alignment, info.channels, output_format)
        write_audio(whole, corrected, output_format, metadata, 0, progress)
        publish_file(whole, out)
    return comparison


def own_format(info: SourceInfo) -> OutputFormat:
    """The output format that keeps what a file holds."""
    is_flac = info.container == "FLAC"
    if info.subtype in _BITS_16:
        return OutputFormat.FLAC16 if is_flac else OutputFormat.PCM16
    if info.subtype in _BITS_24:
        return OutputFormat.FLAC24 if is_flac else OutputFormat.PCM24
    return OutputFormat.FLOAT32


def _metadata(b: Path, alignment: Alignment, channels: int, output_format: OutputFormat) -> WavMetadata:
    """B's own, with what was done to it; its identifier belongs to the samples as they were."""
    found = read_metadata(b)
    line = (
        f"A=PCM,F={alignment.sample_rate},W={output_format.bits},M={'mono' if channels == 1 else 'stereo'},"
        f"T=stemfix engine {ENGINE_VERSION};moved by {-alignment.delay_samples:+.3f} samples;"
        f"polarity {'inverted' if alignment.polarity < 0 else 'kept'}"
    )
    history = "\n".join([*found.coding_history.splitlines(), line])
    return replace(found, originator=found.originator or "stemfix", umid=b"", coding_history=history)


def _at_rate(alignment: Alignment, sample_rate: int) -> Alignment:
    """The same alignment with delays counted at another rate."""
    if alignment.sample_rate == sample_rate:
        return alignment
    ratio = sample_rate / alignment.sample_rate
    segments = [
        segment.model_copy(update={"delay_samples": segment.delay_samples * ratio})
        for segment in alignment.segments
    ]
    return alignment.model_copy(
        update={
            "sample_rate": sample_rate,
            "delay_samples": alignment.delay_samples * ratio,
            "segments": segments,
        }
    )


def _mono(source: AudioBuffer, path: Path) -> AudioBuffer:
    if source.channels == 1:
        return source
    into = AudioBuffer.create(path, 1, source.frames, source.sample_rate)
    for start, block in source.blocks():
        into.write(start, block.mean(axis=0, keepdims=True))
    return into
