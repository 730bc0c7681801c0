"""OpenVinoSeparator: hybrid transformers on the CPU with OpenVINO, and with PyTorch where that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from engine.audio.buffer import Audio, AudioBuffer
from engine.errors import OptionError
from engine.separation.bag import member_weights, members_for
from engine.separation.calibration import Backend, machine_digest
from engine.separation.compiled import Compiled, streams_that_fit
from engine.separation.converted import Converted, ConvertedNetworks
from engine.separation.demucs import DemucsSeparator
from engine.separation.device import core_count
from engine.separation.fidelity import PROMISED_SNR_DB, bar_of_music, snr_db
from engine.separation.model_store import InstalledModel
from engine.separation.normalisation import Normalisation
from engine.separation.openvino_model import NotConvertibleError, can_be_converted, import_openvino
from engine.separation.overlap_add import Member, overlap_add
from engine.separation.separator import SeparationOptions


class ImpreciseError(Exception):
    """OpenVINO does not come as near to PyTorch on this machine as was promised."""


class OpenVinoSeparator:
    """A bag of hybrid transformers (or one) behind the Separator protocol.

    Args:
        installed: the model.
        options: see `SeparationOptions`; what the precision promises is checked once per network.
        backend: what to compute with: precision and streams.
        note: told in one sentence when a network is prepared for the first time, and if PyTorch must step in.
        torch: makes the same separator on PyTorch. It is called only where it is needed.
        stems: the sources to give, in the model's order; None for all.

    Raises:
        NotConvertibleError: OpenVINO can't do it.
        ImpreciseError: nor can it as precisely as promised.
        ImportError: OpenVINO is not installed.
        OptionError: the segment is too long for the model.
    """

    def __init__(
        self,
        installed: InstalledModel,
        options: SeparationOptions,
        backend: Backend,
        note: Callable[[str], None],
        torch: Callable[[], DemucsSeparator],
        stems: tuple[str, ...] | None = None,
    ) -> None:
        openvino = import_openvino()
        card = installed.card
        self.name, self.digest, self.options = card.name, installed.digest, options
        self.sources = stems or card.sources
        self._backend, self._note, self._make_torch = backend, note, torch
        self._torch: DemucsSeparator | None = None
        self._gave_up = False
        self._lock = threading.Lock()
        self._core = openvino.Core()
        self._cache = ConvertedNetworks(openvino.get_version())
        self._installed = installed
        members = members_for(card, self.sources)
        self._networks = {index: self._network(index) for index in members}
        self._compiled: tuple[int, dict[int, Compiled]] = (0, {})
        self._torch = None  # its memory is wanted no longer

        facts = self._networks[members[0]].facts
        self.sample_rate, self.channels = facts.sample_rate, facts.channels
        self._source_count = len(facts.sources)
        self._columns = [facts.sources.index(stem) for stem in self.sources]
        trained_s = facts.frames / facts.sample_rate
        if options.segment_s is not None and options.segment_s > trained_s:
            raise OptionError(
                f"A segment of {options.segment_s} s is longer than {self.name} allows ({trained_s} s).",
                "Choose a shorter segment, or none for the length it was trained on.",
            )
        self._segment_frames = int(facts.sample_rate * (options.segment_s or trained_s))
        self._members = [
            self._member(index, row) if index in members else None
            for index, row in enumerate(member_weights(card))
        ]

    @property
    def device(self) -> str:
        """What computes, as a job's report says it."""
        return "cpu" if self._gave_up else f"cpu, OpenVINO {self._backend.precision}"

    def separate(
        self,
        audio: AudioBuffer,
        seed: int,
        progress: Callable[[int, int], None],
        cancel: Callable[[], None],
    ) -> Iterator[tuple[int, Audio]]:
        """See `Separator.separate`. Segments are computed several at a time, as many as there are streams."""
        if (audio.sample_rate, audio.channels) != (self.sample_rate, self.channels):
            raise ValueError(f"{self.name} takes {self.channels} channels at {self.sample_rate} Hz")
        level = Normalisation.of(audio)
        stride = max(int((1 - self.options.overlap) * self._segment_frames), 1)
        segments = -(-audio.frames // stride) * len(self._networks) * max(self.options.shifts, 1)
        streams = max(min(self._backend.streams, segments, streams_that_fit(len(self._networks))), 1)
        if not self._gave_up:
            self._compile(streams)
        blocks = overlap_add(
            self._members,
            lambda start, stop: level.apply(audio.read(start, stop)),
            audio.frames,
            sample_rate=self.sample_rate,
            overlap=self.options.overlap,
            shifts=self.options.shifts,
            seed=seed,
            progress=progress,
            cancel=cancel,
            workers=1 if self._gave_up else streams,
        )
        for start, block in blocks:
            yield start, level.undo(block, self._source_count)

    def _member(self, index: int, row: list[float]) -> Member:
        return Member(
            lambda batch: self._estimate(index, batch),
            tuple(row[column] for column in self._columns),
            self._segment_frames,
            lambda frames: self._segment_frames,
        )

    def _network(self, index: int) -> Converted:
        """The member as OpenVINO takes it, near enough to PyTorch."""
        sha256 = self._installed.files[index].sha256
        found = self._cache.get(sha256)
        if found is None:
            network = self._pytorch().network(index)
            if not can_be_converted(network):
                raise NotConvertibleError(self.name)
            self._note(f"Preparing {self.name} for OpenVINO, which is done once.")
            found = self._cache.make(sha256, network)
        way = f"{self._backend.precision} {machine_digest()}"
        near = found.snr_db(way)
        if near is None:
            near = self._measure(found, self._pytorch().network(index))
            found.keep_snr_db(way, near)
        promised = PROMISED_SNR_DB[self.options.precision]
        if near < promised:
            raise ImpreciseError(
                f"it comes within {near:.0f} dB of PyTorch where {promised:.0f} were promised"
            )
        return found

    def _measure(self, converted: Converted, network: Any) -> float:
        import torch

        facts = converted.facts
        music = bar_of_music(facts.channels, facts.frames, facts.sample_rate)
        compiled = Compiled(
            self._core, converted.model, facts.transforms, self._backend.precision, 1, core_count()
        )
        with torch.inference_mode():
            reference = network(torch.from_numpy(music)[None])[0].numpy()
        return snr_db(reference, compiled.estimate(music))

    def _compile(self, streams: int) -> None:
        if self._compiled[0] == streams:
            return
        self._compiled = (0, {})  # never two sets in memory
        try:
            self._compiled = (
                streams,
                {
                    index: Compiled(
                        self._core,
                        network.model,
                        network.facts.transforms,
                        self._backend.precision,
                        streams,
                        core_count(),
                    )
                    for index, network in self._networks.items()
                },
            )
        except Exception as error:  # whatever OpenVINO raises, PyTorch is there
            self._give_up(error)

    def _estimate(self, index: int, batch: Audio) -> Audio:
        if not self._gave_up:
            try:
                estimate = np.stack([self._compiled[1][index].estimate(segment) for segment in batch])
                if np.isfinite(estimate).all():
                    return estimate[:, self._columns]
                raise ArithmeticError("it gave samples that are not numbers")
            except Exception as error:
                self._give_up(error)
        with self._lock:
            return self._pytorch().estimate(index, batch)

    def _give_up(self, error: Exception) -> None:
        """Leave the rest to PyTorch, and say so once."""
        with self._lock:
            if not self._gave_up:
                self._gave_up = True
                self._note(f"OpenVINO failed ({_reason(error)}); going on with PyTorch.")

    def _pytorch(self) -> DemucsSeparator:
        if self._torch is None:
            self._torch = self._make_torch()
        return self._torch


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
