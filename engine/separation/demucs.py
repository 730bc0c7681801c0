"""DemucsSeparator: the models of the Demucs family, alone or as a bag, behind the Separator protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.audio.buffer import Audio, AudioBuffer
from engine.errors import DeviceError, ModelError, OptionError
from engine.separation.arithmetic import Arithmetic, candidates, computing_in
from engine.separation.bag import check_members
from engine.separation.device import thread_count
from engine.separation.device_batches import DeviceBatches
from engine.separation.device_link import DeviceLink
from engine.separation.device_overlap_add import device_overlap_add
from engine.separation.fidelity import bar_of_music
from engine.separation.normalisation import Normalisation
from engine.separation.overlap_add import Member, overlap_add
from engine.separation.separator import SeparationOptions

if TYPE_CHECKING:
    import torch

#: Segments per call of a model where the device's memory tells nothing: more than one keeps a GPU busy and
#: slows a CPU down.
_BATCH = {"cuda": 4}
#: So many segments in a row that do not fit a GPU, and it is left alone until the next recording.
_MISFITS = 3


class DemucsSeparator:
    """A bag of Demucs models (or one), resident on a device.

    Args:
        name: the model's name in the registry.
        models: `torch.nn.Module`s as demucs loads them; they share sources, sample rate and channels. None
            stands for a member of the bag that no wanted stem needs.
        weights: for every model one weight per source.
        digest: SHA-256 over the weights.
        options: see `SeparationOptions`.
        device: `cuda`, `mps` or `cpu`, as `pick_device` gives it.
        note: told in one sentence of each step back when a GPU runs out of memory: fewer segments at a time,
            then single segments on the CPU, then all that is left of the recording.
        batch: segments per call of a model at most; None for what fits the device's memory.
        stems: the sources to give, in the models' order; None for all.

    Raises:
        ModelError: the models don't fit together, or give samples that are not finite (from `separate`).
        OptionError: the segment is too long for the model, or TORCH_NUM_THREADS is not a positive number.
        DeviceError: the device failed for another reason than its memory (from `separate`).
    """

    def __init__(
        self,
        name: str,
        models: Sequence[Any],
        weights: Sequence[Sequence[float]],
        digest: str,
        options: SeparationOptions,
        device: str,
        note: Callable[[str], None] | None = None,
        batch: int | None = None,
        stems: Sequence[str] | None = None,
    ) -> None:
        import torch

        first = check_members(name, models, weights, stems)
        self.name = name
        self.sources: tuple[str, ...] = tuple(first.sources) if stems is None else tuple(stems)
        self.sample_rate = int(first.samplerate)
        self.channels = int(first.audio_channels)
        self.digest = digest
        self.options = options
        self.device = device
        self._note = note or (lambda message: None)
        self._wanted_device = device
        self._asked_batch = batch
        self._batch = batch or _BATCH.get(device, 1)
        #: What the GPU computes with: as it was chosen before the first recording, and now.
        self._chosen: Arithmetic | None = None
        self._arithmetic: Arithmetic = "f32"
        self._link = None if device == "cpu" else DeviceLink(device)
        self._batches: DeviceBatches | None = None
        #: Segments in a row that did not fit the GPU.
        self._misfits = 0
        self._cancel: Callable[[], None] = lambda: None
        self._models: list[Any] = [None if model is None else model.eval() for model in models]
        self._source_count = len(first.sources)
        #: Where the sources lie in what a model gives; None for all of it.
        self._columns = None if stems is None else [first.sources.index(stem) for stem in stems]
        columns = range(len(first.sources)) if self._columns is None else self._columns
        self._members = [
            None if models[index] is None else self._member(index, tuple(float(row[at]) for at in columns))
            for index, row in enumerate(weights)
        ]
        threads = thread_count()
        if threads is not None:
            torch.set_num_threads(threads)
        # The fused attention of inference is slower on a CPU than the plain one: 9 % of a whole separation.
        torch.backends.mha.set_fastpath_enabled(False)
        self._place()

    def separate(
        self,
        audio: AudioBuffer,
        seed: int,
        progress: Callable[[int, int], None],
        cancel: Callable[[], None],
    ) -> Iterator[tuple[int, Audio]]:
        """See `Separator.separate`. One cheap pass measures the level, then segments follow."""
        if (audio.sample_rate, audio.channels) != (self.sample_rate, self.channels):
            raise ValueError(f"{self.name} takes {self.channels} channels at {self.sample_rate} Hz")
        self._cancel = cancel
        self._start_afresh()
        level = Normalisation.of(audio)
        reads = (lambda start, stop: level.apply(audio.read(start, stop))), audio.frames
        common: dict[str, Any] = {
            "sample_rate": self.sample_rate,
            "overlap": self.options.overlap,
            "shifts": self.options.shifts,
            "seed": seed,
            "progress": progress,
            "cancel": cancel,
        }
        given = 0
        while self._link is not None and self.device != "cpu":
            members = [
                None if member is None else (member, partial(self._fit, index))
                for index, member in enumerate(self._members)
            ]
            blocks = device_overlap_add(members, *reads, link=self._link, batch=self._batch, **common)
            try:
                for start, block in blocks:
                    # What is loud may leave the range of float16, and is not worth a wait after each batch.
                    if self.arithmetic == "f16" and not np.isfinite(block).all():
                        self._arithmetic = "f32"
                        break
                    rest = self._checked(block)[..., max(given - start, 0) :]
                    if rest.shape[-1]:
                        given = start + block.shape[-1]
                        yield given - rest.shape[-1], level.undo(rest, self._source_count)
                else:
                    return
                self._note(f"The recording is too loud for {self.name} in float16; 32 bits compute it.")
            except RuntimeError as error:
                # Not a model's: those are dealt with in `_fit`. Only the sums are left, and they fit here.
                self._require_out_of_memory(error)
                self._note(f"The device {self.device!r} has too little memory to add up; the CPU does.")
                self._free_memory()
                break
        for start, block in overlap_add(self._members, *reads, batch=self._batch, **common):
            rest = block[..., max(given - start, 0) :]
            if rest.shape[-1]:
                yield start + block.shape[-1] - rest.shape[-1], level.undo(rest, self._source_count)

    @property
    def batch(self) -> int:
        """Segments per call of a model, as it stands; it shrinks where memory is short."""
        return self._batch

    @property
    def arithmetic(self) -> Arithmetic:
        """What the device computes with; 32 bits until the first recording."""
        return self._arithmetic

    def network(self, index: int) -> Any:
        """The member at `index`, a `torch.nn.Module`."""
        return self._models[index]

    def estimate(self, index: int, batch: Audio) -> Audio:
        """What the member at `index` gives for a batch: (n, sources, channels, frames)."""
        estimate: Audio = self._fit(index, batch).cpu().numpy()
        return self._checked(estimate)

    def _checked(self, estimate: Audio) -> Audio:
        if not np.isfinite(estimate).all():
            raise ModelError(
                f"The model {self.name} gave samples that are not numbers; its weights are likely damaged.",
                f"Run: stemfix models verify {self.name}",
            )
        return estimate

    def _member(self, index: int, weights: tuple[float, ...]) -> Member:
        """The rules by which upstream chooses a model's segment and the context of a shorter chunk."""
        from demucs.htdemucs import HTDemucs

        model, segment_s = self._models[index], self.options.segment_s
        trained = isinstance(model, HTDemucs)
        if segment_s is not None and trained and segment_s > model.segment:
            raise OptionError(
                f"A segment of {segment_s} s is longer than {self.name} allows ({float(model.segment)} s).",
                "Choose a shorter segment, or none for the length it was trained on.",
            )
        segment_frames = int(model.samplerate * (model.segment if segment_s is None else segment_s))
        if segment_s is not None and trained:
            valid_length = _always(segment_frames)
        else:
            valid_length = getattr(model, "valid_length", _unchanged)
        return Member(lambda batch: self.estimate(index, batch), weights, segment_frames, valid_length)

    def _fit(self, index: int, batch: Audio) -> torch.Tensor:
        """The wanted sources' estimate, in as many calls and on the device that memory allows."""
        import torch

        parts: list[torch.Tensor] = []
        done = 0
        while done < len(batch):
            if parts:
                self._cancel()
            part = batch[done : done + self._batch]
            try:
                estimate = self._infer(index, part, self.device)
                self._misfits = 0
            except RuntimeError as error:
                self._require_out_of_memory(error)
                if len(part) > 1:
                    self._batch = len(part) // 2
                    self._note(
                        f"The device {self.device!r} has too little memory for {len(part)} segments of "
                        f"{self.name} at a time; going on with {self._batch}."
                    )
                    self._free_memory()
                    continue
                estimate = self._infer_on_cpu(index, part)
            parts.append(estimate)
            done += len(part)
        if len(parts) > 1 and len({part.device for part in parts}) > 1:
            parts = [part.cpu() for part in parts]
        estimate = parts[0] if len(parts) == 1 else torch.cat(parts)
        return estimate if self._columns is None else estimate[:, self._columns]

    def _infer(self, index: int, batch: Audio, device: str) -> torch.Tensor:
        import torch

        link = None if device == "cpu" else self._link
        with computing_in(self.arithmetic if link else "f32", link.device if link else "cpu"):
            segments = link.upload(batch) if link else torch.from_numpy(batch)
            estimate: torch.Tensor = self._models[index](segments)
            return estimate.float()

    def _infer_on_cpu(self, index: int, segment: Audio) -> torch.Tensor:
        """A segment that does not fit the GPU, computed beside it; too many of them and the GPU is left."""
        self._misfits += 1
        if self._misfits >= _MISFITS:
            self._leave_device()
            return self._infer(index, segment, "cpu")
        self._note(
            f"The device {self.device!r} has too little memory for a segment of {self.name}; "
            "that segment is computed on the CPU."
        )
        self._models[index].to("cpu")
        self._free_memory()
        estimate = self._infer(index, segment, "cpu")
        self._place()
        return estimate

    def _place(self) -> None:
        """Bring the models to the device, or to the CPU for good if they don't fit there."""
        try:
            self._move(self.device)
        except RuntimeError as error:
            self._require_out_of_memory(error)
            self._leave_device()

    def _leave_device(self) -> None:
        self._note(f"The device {self.device!r} has too little memory for {self.name}; going on on the CPU.")
        self.device = "cpu"
        self._batch = 1
        self._move("cpu")
        self._free_memory()

    def _move(self, device: str) -> None:
        for model in self._models:
            if model is not None:
                model.to(device)

    def _free_memory(self) -> None:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _require_out_of_memory(self, error: RuntimeError) -> None:
        """Raise DeviceError for any other failure, and where there is no device to step back to."""
        if self.device == "cpu" or "out of memory" not in str(error).lower():
            raise DeviceError(
                f"{self.name} failed on the device {self.device!r}: {str(error).splitlines()[0]}",
                "Try --device cpu." if self.device != "cpu" else "Run with --debug for the details.",
            ) from error

    def _start_afresh(self) -> None:
        """Forget what did not fit before: another program may have left the GPU since."""
        self._misfits = 0
        if self.device != self._wanted_device:
            self.device = self._wanted_device
            self._place()
        if self.device == "cpu":
            self._batch = self._asked_batch or 1
            return
        self._batch = self._asked_batch or _BATCH.get(self.device, 1)
        self._arithmetic = self._chosen or "f32"
        try:
            self._settle()
        except RuntimeError as error:
            self._arithmetic = self._chosen or "f32"
            self._require_out_of_memory(error)
            self._free_memory()

    def _settle(self) -> None:
        """Choose arithmetic, once, and batch; both by a segment of music that is computed for the purpose."""
        if self._batches is None:
            assert self._link is not None
            present = [(index, member) for index, member in enumerate(self._members) if member is not None]
            longest = max(member.segment_frames for _, member in present)
            self._batches = DeviceBatches(
                self._link,
                [partial(self._try, index, member) for index, member in present],
                4 * len(self.sources) * self.channels * longest,
                len(present) * max(self.options.shifts, 1),
            )
        if self._chosen is None:
            choices = candidates(self.device, self.options.precision)
            self._chosen = self._batches.arithmetic(choices, self.options.precision, self._note)
        self._arithmetic = self._chosen
        if self._asked_batch is None:
            self._batch = self._batches.segments(self.arithmetic) or self._batch

    def _try(self, index: int, member: Member, arithmetic: Arithmetic) -> Audio:
        """What one network gives on the device for a segment of music."""
        self._cancel()
        self._arithmetic = arithmetic
        frames = member.valid_length(member.segment_frames)
        music = bar_of_music(self.channels, frames, self.sample_rate)
        estimate: Audio = self._infer(index, music[None], self.device)[0].cpu().numpy()
        return estimate


def _always(frames: int) -> Callable[[int], int]:
    return lambda _: frames


def _unchanged(frames: int) -> int:
    return frames
