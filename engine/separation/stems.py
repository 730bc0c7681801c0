"""From a recording at any rate, mono or stereo, to stems of exactly its shape that sum to it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from engine.audio.buffer import AudioBuffer
from engine.audio.resample import resample
from engine.errors import InputError
from engine.files import output_errors
from engine.progress import Progress
from engine.separation.residual import share_residual, split_residual
from engine.separation.separator import Separator

ResidualMode = Literal["share", "stem", "rest"]

#: The name of the stem that holds what the model left over, if it is wanted as one.
RESIDUAL = "residual"
#: The name of the stem that holds all but the stems that were taken out, where not all were.
REST = "rest"

#: Parts of the whole step in thousandths: to the model's rate, the model itself, back again, the residual.
_TO_MODEL, _SEPARATE, _FROM_MODEL, _RESIDUAL = 20, 920, 30, 30


@dataclass(frozen=True)
class Stems:
    """What a recording was taken apart into.

    Attributes:
        buffers: a stem per source of the model, and `residual` or `rest` if there is one, of the recording's
            shape and rate. They sum to the recording.
        residual_db: level of what the model left over, relative to the recording; None for silence, and
            where not all stems were taken out, so that nobody knows it.
    """

    buffers: dict[str, AudioBuffer]
    residual_db: float | None


def separate_stems(
    source: AudioBuffer,
    separator: Separator,
    folder: Path,
    *,
    seed: int,
    residual: ResidualMode,
    progress: Progress,
) -> Stems:
    """Take `source` apart into files `<stem>.f32` in `folder` of exactly its rate, length and channel count.

    The model works at its own rate and in stereo; a mono source goes to both channels and comes back as
    their mean. What the model left over, and what its rate can't carry, is shared over the stems (`share`)
    or becomes one more stem, `residual` (`stem`). The stems of a separator that gives only some of them stay
    as the model made them, and all else of the recording is one more stem, `rest` (`rest`). Memory does not
    grow with the recording. `folder` needs room for the stems, and for as much again at the model's rate if
    that is another; if the step fails, its files are removed.

    Raises:
        InputError: the source is empty, or has more channels than the model.
        OutputError: the files can't be written, or one of that name exists.
        Cancelled: `progress` was told to stop; noticed within one segment or block.
    """
    if source.frames == 0:
        raise InputError("There is no audio in the source.", "Choose a range that holds some.")
    if source.channels not in (1, separator.channels):
        raise InputError(
            f"The source has {source.channels} channels; stems can be taken from mono or stereo only.",
            "Mix it down or split it into stereo pairs first.",
        )
    with ExitStack() as unfinished:
        try:
            return _Step(source, separator, folder, progress, unfinished).run(seed, residual)
        except OSError as error:
            with output_errors(Path(error.filename or folder)):
                raise


class _Step:
    """One call of `separate_stems`; `unfinished` removes its files unless it ends well."""

    def __init__(
        self,
        source: AudioBuffer,
        separator: Separator,
        folder: Path,
        progress: Progress,
        unfinished: ExitStack,
    ) -> None:
        self._source = source
        self._separator = separator
        self._folder = folder
        self._progress = progress
        self._unfinished = unfinished
        self._at_model_rate = source.sample_rate == separator.sample_rate

    def run(self, seed: int, mode: ResidualMode) -> Stems:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._report(0)
        mix = self._model_mix()
        self._report(_TO_MODEL)
        estimates = self._estimates(mix, seed)
        if mix is not self._source:
            self._remove(mix)
        stems = {}
        for index, (name, estimate) in enumerate(estimates.items()):
            stems[name] = self._native(name, estimate)
            self._report(_TO_MODEL + _SEPARATE + _FROM_MODEL * (index + 1) // len(estimates))

        on_block = self._span(_TO_MODEL + _SEPARATE + _FROM_MODEL, _RESIDUAL)
        if mode == "share":
            residual_db = share_residual(self._source, stems, self._separator.sample_rate, on_block)
        else:
            name = REST if mode == "rest" else RESIDUAL
            rest = self._source.like(self._path(name))
            level_db = split_residual(self._source, stems, rest, on_block)
            residual_db = None if mode == "rest" else level_db
            stems[name] = rest
        self._unfinished.pop_all()
        return Stems(stems, residual_db)

    def _model_mix(self) -> AudioBuffer:
        """The source as the model takes it; the source itself if it is so already."""
        mix, rate, channels = self._source, self._separator.sample_rate, self._separator.channels
        if not self._at_model_rate:
            mix = resample(mix, rate, self._path("mix.resampled"), progress=self._progress)
        if mix.channels == channels:
            return mix
        spread = AudioBuffer.create(self._path("mix.spread"), channels, mix.frames, rate)
        for start, block in mix.blocks():
            spread.write(start, np.repeat(block, channels, axis=0))
        if mix is not self._source:
            self._remove(mix)
        return spread

    def _estimates(self, mix: AudioBuffer, seed: int) -> dict[str, AudioBuffer]:
        """The model's estimates at its own rate, with the channels of the source."""
        suffix = "" if self._at_model_rate else ".resampled"
        channels, rate = self._source.channels, self._separator.sample_rate
        estimates = {
            name: AudioBuffer.create(self._path(f"{name}{suffix}"), channels, mix.frames, rate)
            for name in self._separator.sources
        }
        on_segment = self._span(_TO_MODEL, _SEPARATE)
        for start, block in self._separator.separate(mix, seed, on_segment, self._progress.check):
            for estimate, audio in zip(estimates.values(), block, strict=True):
                estimate.write(start, audio.mean(axis=0, keepdims=True) if channels == 1 else audio)
        return estimates

    def _native(self, name: str, estimate: AudioBuffer) -> AudioBuffer:
        """`estimate` at the rate of the source and of exactly its length."""
        if self._at_model_rate:
            return estimate
        source, path = self._source, self._path(name)
        stem = resample(estimate, source.sample_rate, path, source.frames, self._progress)
        self._remove(estimate)
        return stem

    def _path(self, name: str) -> Path:
        path = self._folder / f"{name}.f32"
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        self._unfinished.callback(path.unlink, missing_ok=True)
        return path

    def _remove(self, buffer: AudioBuffer) -> None:
        if buffer.path is not None:
            buffer.path.unlink()

    def _report(self, thousandths: int) -> None:
        self._progress.check()
        self._progress.update("separate", thousandths, 1000)

    def _span(self, first: int, size: int) -> Callable[[int, int], None]:
        """Progress of a part of the step as thousandths of the whole."""

        def report(done: int, total: int) -> None:
            self._report(first + size * done // max(total, 1))

        return report
