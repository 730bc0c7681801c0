"""tune: measure the ways to separate on this machine's CPU, and choose the fastest that is faithful."""

from __future__ import annotations

import datetime
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from engine.audio.buffer import Audio
from engine.errors import ModelError
from engine.separation.calibration import (
    Backend,
    Calibration,
    Measured,
    machine_digest,
    machine_name,
    package_versions,
)
from engine.separation.compiled import BYTES_PER_STREAM, Compiled
from engine.separation.converted import Converted, ConvertedNetworks
from engine.separation.device import core_count
from engine.separation.fidelity import PROMISED_SNR_DB, bar_of_music, snr_db
from engine.separation.model_store import InstalledModel
from engine.separation.openvino_model import can_be_converted, import_openvino
from engine.separation.registry import MODELS
from engine.separation.separator import Precision
from engine.separation.weights import installed, load_models

#: Runs of each way beside PyTorch.
_ROUNDS = 3
#: Another way is taken for no less than this: below it lies what two measurements differ by.
_WORTH_IT = 1.03
#: What is left to other programs.
_BYTES_LEFT = 1_500_000_000


@dataclass(frozen=True)
class _Subject:
    """The network that is measured, and what it is given."""

    network: Any
    weights_sha256: str
    music: Audio


def tune(
    model: str | None = None,
    note: Callable[[str], None] = lambda message: None,
    cancel: Callable[[], None] = lambda: None,
) -> Calibration:
    """Measure on one segment of music, each way side by side with PyTorch; nothing is stored.

    Args:
        model: which installed model to measure with; any hybrid transformer by default, since the networks of
            all have the same shape.
        note: told in a sentence what is measured.
        cancel: called between runs; it raises to stop.

    Raises ModelError if no such model is installed.
    """
    found, subject = _subject(model)
    segment_s = subject.music.shape[-1] / found.card.sample_rate
    note(f"Measuring PyTorch on {segment_s:.1f} s of music with {found.card.name}")
    reference = _torch_run(subject)
    seconds = _timed(lambda: _torch_run(subject))
    measured = [Measured(backend=Backend(), seconds_per_segment=seconds, speed=1.0)]
    try:
        openvino = import_openvino()
        note("Preparing the model for OpenVINO")
        cache = ConvertedNetworks(openvino.get_version())
        converted = cache.get(subject.weights_sha256) or cache.make(subject.weights_sha256, subject.network)
        core = openvino.Core()
        for backend in _candidates(core):
            cancel()
            note(f"Measuring {backend}")
            measured.append(_measure(core, converted, backend, subject, reference, cancel))
    except ImportError:
        note("OpenVINO is not installed, so there is only PyTorch")
    except RuntimeError as error:
        note(f"OpenVINO failed and is left out: {str(error).splitlines()[0]}")
    return Calibration(
        machine=machine_name(),
        versions=package_versions(),
        model=found.card.name,
        segment_s=segment_s,
        measured_at=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        measured=measured,
        chosen={precision: choose(measured, precision) for precision in PROMISED_SNR_DB},
    )


def choose(measured: list[Measured], precision: Precision) -> Backend:
    """The fastest way that keeps what `precision` promises; PyTorch unless another is worth it."""
    faithful = [
        way
        for way in measured
        if way.snr_db is not None
        and way.snr_db >= PROMISED_SNR_DB[precision]
        and way.speed >= _WORTH_IT
        and (precision == "reduced" or way.backend.precision == "f32")
    ]
    return max(faithful, key=lambda way: way.speed).backend if faithful else Backend()


def _subject(model: str | None) -> tuple[InstalledModel, _Subject]:
    for name in [model] if model else [*MODELS]:
        found = installed(name)
        if found is None:
            continue
        (network, *_), _ = load_models(found, (0,))
        if can_be_converted(network) or model:
            frames = int(network.segment * network.samplerate)  # type: ignore[union-attr, operator]
            music = bar_of_music(found.card.channels, frames, found.card.sample_rate)
            return found, _Subject(network, found.files[0].sha256, music)
    name = model or "htdemucs"
    raise ModelError(f"The model {name} is not installed.", f"Fetch it with `stemfix models pull {name}`.")


def _candidates(core: Any) -> Iterator[Backend]:
    """Every precision that the processor has, with one segment at a time, and several if there are cores."""
    cores = core_count()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    streams = sorted({1, max(cores // 2, 1), cores} & set(range(1, _streams_that_fit() + 1)))
    for count in streams or [1]:
        yield Backend(engine="openvino", precision="f32", streams=count)
        if "BF16" in able:
            yield Backend(engine="openvino", precision="bf16", streams=count)


def _streams_that_fit() -> int:
    import psutil

    free = int(psutil.virtual_memory().available)
    return max((free - _BYTES_LEFT) // BYTES_PER_STREAM, 1)


def _measure(
    core: Any,
    converted: Converted,
    backend: Backend,
    subject: _Subject,
    reference: Audio,
    cancel: Callable[[], None],
) -> Measured:
    compiled = Compiled(
        core,
        converted.model,
        converted.facts.transforms,
        backend.precision,
        backend.streams,
        core_count(),
    )
    with ThreadPoolExecutor(backend.streams) as pool:

        def run() -> list[Audio]:
            return list(pool.map(compiled.estimate, [subject.music] * backend.streams))

        near = min(snr_db(reference, estimate) for estimate in run())
        converted.keep_snr_db(f"{backend.precision} {machine_digest()}", near)
        times, speeds = [], []
        for _ in range(_ROUNDS):
            cancel()
            torch_s = _timed(lambda: _torch_run(subject))
            times.append(_timed(run) / backend.streams)
            speeds.append(torch_s / times[-1])
    return Measured(
        backend=backend,
        seconds_per_segment=round(statistics.median(times), 4),
        speed=round(statistics.median(speeds), 3),
        snr_db=round(min(near, 300.0), 1),
    )


def _torch_run(subject: _Subject) -> Audio:
    import torch

    torch.backends.mha.set_fastpath_enabled(False)
    with torch.inference_mode():
        estimate: Audio = subject.network(torch.from_numpy(subject.music)[None])[0].numpy()
        return estimate


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
