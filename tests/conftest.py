"""What all tests share: a quick stand-in for a separation model, and noise to feed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.separation.separator import SeparationOptions


class FakeSeparator:
    """Splits the mix into four bands, 30 dB short of the whole, one second at a time.

    It is linear, has no delay, and the four stems sum to the mix times `1 - 10 ** (-30 / 20)`, so the
    level of what it leaves over is exactly -30 dB. `runs` counts the calls of `separate` that were started.
    """

    sources = ("drums", "bass", "other", "vocals")
    channels = 2
    residual_gain = 10 ** (-30 / 20)

    def __init__(
        self,
        options: SeparationOptions | None = None,
        sample_rate: int = 44_100,
        name: str = "fake",
        digest: str = "fa" * 32,
    ) -> None:
        self.options = options or SeparationOptions()
        self.sample_rate = sample_rate
        self.name = name
        self.digest = digest
        self.runs = 0

    def separate(
        self,
        audio: AudioBuffer,
        seed: int,
        progress: Callable[[int, int], None],
        cancel: Callable[[], None],
    ) -> Iterator[tuple[int, Audio]]:
        from scipy.signal import firwin, oaconvolve

        assert (audio.sample_rate, audio.channels) == (self.sample_rate, self.channels)
        self.runs += 1
        taps = 513
        context = taps // 2
        lowpasses = [firwin(taps, share, fs=1.0)[None] for share in (0.005, 0.035, 0.14)]
        total = -(-audio.frames // self.sample_rate)
        progress(0, total)
        for index in range(total):
            cancel()
            start = index * self.sample_rate
            stop = min(start + self.sample_rate, audio.frames)
            around = audio.read(start - context, stop + context).astype(np.float64)
            low, mid, high = (oaconvolve(around, taps, mode="valid", axes=-1) for taps in lowpasses)
            mix = around[:, context : context + stop - start]
            bands = {"bass": low, "vocals": mid - low, "other": high - mid, "drums": mix - high}
            block = np.stack([bands[name] for name in self.sources]) * (1 - self.residual_gain)
            yield start, block.astype(np.float32)
            progress(index + 1, total)


@pytest.fixture
def fake_separator() -> FakeSeparator:
    """A model of four stems at 44.1 kHz; `type(fake_separator)(options, ...)` makes others."""
    return FakeSeparator()


@pytest.fixture
def noise() -> Callable[..., Audio]:
    """`noise(frames, channels=2, seed=0, level=0.1)`: white noise, shape (channels, frames), RMS `level`."""

    def make(frames: int, channels: int = 2, seed: int = 0, level: float = 0.1) -> Audio:
        generator = np.random.default_rng(seed)
        return generator.standard_normal((channels, frames), np.float32) * np.float32(level)

    return make


@pytest.fixture(scope="session")
def write_job() -> Callable[..., Path]:
    """`write_job(folder, source, mix, stems, preset=..., report=...)` writes a finished job's result folder.

    `source` is the path of the recording, `mix` an array (channels, frames), `stems` arrays by name, and
    `report` what goes into `report.json`.
    """
    import json

    import soundfile

    from engine.audio.loudness import measure_loudness
    from engine.audio.read import content_digest

    def record(path: Path, audio: Audio, rate: int) -> dict[str, Any]:
        soundfile.write(path, audio.T, rate, subtype="FLOAT")
        loudness = measure_loudness(AudioBuffer.of(audio, rate))
        return {
            "file": path.name,
            "sha256": "0" * 64,
            "bytes": path.stat().st_size,
            "frames": audio.shape[1],
            "sample_rate": rate,
            "channels": audio.shape[0],
            "output_format": "float32",
            "clipped_samples": 0,
            "lufs": loudness.lufs,
            "true_peak_db": loudness.true_peak_db,
        }

    def write(
        folder: Path,
        source: Path,
        mix: Audio,
        stems: dict[str, Audio],
        preset: str = "balanced",
        model: str = "htdemucs",
        start_frame: int = 0,
        report: dict[str, Any] | None = None,
    ) -> Path:
        folder.mkdir(parents=True)
        original, rate = soundfile.read(source, dtype="float32", always_2d=True)
        stop_frame = start_frame + mix.shape[1]
        part = AudioBuffer.of(original[start_frame:stop_frame].T, rate)
        proof = {"verdict": "PASS", "reasons": [], "delay_samples": 0.0, "polarity": 1}
        proof |= {"gain_db": 0.0, "confidence": 1.0, "coherence": 1.0, "silent": False}
        name = source.stem
        manifest = {
            "stemfix_version": "0.1.0",
            "engine_version": "1",
            "job_key": f"{preset:0>64}",
            "name": name,
            "source": {
                "path": str(source),
                "digest": content_digest(part),
                "container": "WAV",
                "sample_rate": rate,
                "channels": part.channels,
                "frames": len(original),
                "start_frame": start_frame,
                "stop_frame": stop_frame,
            },
            "preset": preset,
            "preset_digest": "0" * 64,
            "model": {"name": model, "digest": "1" * 64, "options": {}, "seed": 0},
            "residual": "share",
            "residual_db": -30.0,
            "null_rms_db": -170.0,
            "null_peak_db": -150.0,
            "verdict": "PASS",
            "stems": [
                {**record(folder / f"{name}-{stem}.wav", audio, rate), "name": stem, "proof": proof}
                for stem, audio in stems.items()
            ],
            "mix": record(folder / f"{name}-mix.wav", mix, rate),
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        (folder / "report.json").write_text(json.dumps(report or {}))
        return folder

    return write
