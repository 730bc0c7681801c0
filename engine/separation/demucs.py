"""DemucsSeparator: the models of the Demucs family, alone or as a bag, behind the Separator protocol."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.audio.buffer import Audio, AudioBuffer
from engine.errors import DeviceError, ModelError, OptionError
from engine.separation.normalisation import Normalisation
from engine.separation.overlap_add import Member, overlap_add
from engine.separation.separator import SeparationOptions

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cuda", "mps", "cpu")


def pick_device(requested: str) -> str:
    """The device to compute on for `auto`, `cuda`, `mps` or `cpu`; `auto` takes the first that is there.

    Raises:
        DeviceError: the one asked for is absent.
        OptionError: there is no device of that name.
    """
    import torch

    if requested not in DEVICES:
        raise OptionError(f"There is no device {requested!r}.", f"Choose one of {', '.join(DEVICES)}.")
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if requested == "auto":
        return next(device for device, there in present.items() if there)
    if not present[requested]:
        raise DeviceError(
            f"The device {requested!r} was asked for, but PyTorch finds none on this machine.",
            "Use --device auto, or install a PyTorch build and a driver for that device.",
        )
    return requested


class DemucsSeparator:
    """A bag of Demucs models (or one), resident on a device.

    Args:
        name: the model's name in the registry.
        models: `torch.nn.Module`s as demucs loads them; they share sources, sample rate and channels.
        weights: for every model one weight per source.
        digest: SHA-256 over the weights.
        options: see `SeparationOptions`.
        device: `cuda`, `mps` or `cpu`, as `pick_device` gives it.
        note: told in one sentence when a GPU runs out of memory and the work goes on on the CPU.
        batch: segments per call of a model; more than 1 pays on a GPU only.

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
        batch: int = 1,
    ) -> None:
        import torch

        _check_bag(name, models, weights)
        self.name = name
        self.sources: tuple[str, ...] = tuple(models[0].sources)
        self.sample_rate = int(models[0].samplerate)
        self.channels = int(models[0].audio_channels)
        self.digest = digest
        self.options = options
        self.device = device
        self._note = note or (lambda message: None)
        self._batch = batch
        self._models = [model.eval() for model in models]
        self._members = [
            self._member(index, tuple(float(weight) for weight in row)) for index, row in enumerate(weights)
        ]
        threads = _thread_count()
        if threads is not None:
            torch.set_num_threads(threads)
        # The fused attention of inference is slower on a CPU than the plain one: 9 % of a whole separation.
        torch.backends.mha.set_fastpath_enabled(False)
        self._on_device(lambda: self._place(self.device))

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
        level = Normalisation.of(audio)
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
            batch=self._batch,
        )
        for start, block in blocks:
            yield start, level.undo(block)

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
        return Member(lambda batch: self._forward(index, batch), weights, segment_frames, valid_length)

    def _forward(self, index: int, batch: Audio) -> Audio:
        estimate: Audio = self._on_device(lambda: self._infer(index, batch))
        if not np.isfinite(estimate).all():
            raise ModelError(
                f"The model {self.name} gave samples that are not numbers; its weights are likely damaged.",
                f"Run: stemfix models verify {self.name}",
            )
        return estimate

    def _infer(self, index: int, batch: Audio) -> Audio:
        import torch

        # Algorithms that cuDNN picks by timing, or that add in no fixed order, give other bits every time.
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True):
            estimate: torch.Tensor = self._models[index](torch.from_numpy(batch).to(self.device))
            samples: Audio = estimate.float().cpu().numpy()
            return samples

    def _place(self, device: str) -> None:
        for model in self._models:
            model.to(device)

    def _on_device(self, work: Callable[[], Any]) -> Any:
        """Do `work`; if a GPU has too little memory for it, move to the CPU for good and do it there."""
        import torch

        try:
            return work()
        except RuntimeError as error:
            if self.device == "cpu" or "out of memory" not in str(error).lower():
                raise DeviceError(
                    f"{self.name} failed on the device {self.device!r}: {str(error).splitlines()[0]}",
                    "Try --device cpu." if self.device != "cpu" else "Run with --debug for the details.",
                ) from error
        self._note(f"The device {self.device!r} has too little memory for {self.name}; going on on the CPU.")
        self.device = "cpu"
        self._place("cpu")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return work()


def _check_bag(name: str, models: Sequence[Any], weights: Sequence[Sequence[float]]) -> None:
    remedy = f"Run: stemfix models verify {name}"
    if not models:
        raise ModelError(f"The model {name} is empty.", remedy)
    for fact in ("sources", "samplerate", "audio_channels"):
        if any(getattr(model, fact) != getattr(models[0], fact) for model in models):
            raise ModelError(f"The members of the model {name} differ in their {fact}.", remedy)
    if len(weights) != len(models) or any(len(row) != len(models[0].sources) for row in weights):
        raise ModelError(f"The model {name} needs one weight per member and source.", remedy)
    if any(not math.isfinite(total) or total == 0 for total in map(sum, zip(*weights, strict=True))):
        raise ModelError(f"The weights of the model {name} leave a source without any member.", remedy)


def _thread_count() -> int | None:
    value = os.environ.get("TORCH_NUM_THREADS")
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise OptionError(f"TORCH_NUM_THREADS is {value!r}.", "Set it to a positive number, or unset it.")
    return int(value)


def _always(frames: int) -> Callable[[int], int]:
    return lambda _: frames


def _unchanged(frames: int) -> int:
    return frames
