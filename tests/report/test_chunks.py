"""Chunks of audio: they lie on their frames, join, and give back what went in."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.audio.buffer import AudioBuffer
from engine.report import opus
from engine.report.chunks import CHUNK_S, MARGIN_S, chunk_count, page_rate
from engine.report.flac import flac_chunks


def decoded(encoded: bytes) -> tuple[np.ndarray, int]:
    audio, rate = soundfile.read(io.BytesIO(encoded), dtype="float32", always_2d=True)
    return audio.T, rate


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_flac_gives_every_sample_back(noise: Callable[..., Any], rate: int, channels: int) -> None:
    frames = round(2.5 * CHUNK_S * rate) // (rate // 8_000)
    audio = np.round(noise(frames, channels) * 2**20) / np.float32(2**20)
    buffer = AudioBuffer.of(audio, rate)
    found = list(flac_chunks(buffer))
    assert len(found) == chunk_count(buffer)
    margin = round(MARGIN_S * rate)
    pieces = []
    for encoded in found:
        samples, found_rate = decoded(encoded)
        assert (found_rate, samples.shape) == (rate, (channels, CHUNK_S * rate + 2 * margin))
        pieces.append(samples[:, margin:-margin])
    whole = np.concatenate(pieces, axis=1)
    assert np.array_equal(whole[:, :frames], audio)
    assert not whole[:, frames:].any()


@pytest.mark.parametrize("with_ffmpeg", [True, False])
@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1), (32_000, 2)])
def test_opus_lies_on_its_frames(
    noise: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    with_ffmpeg: bool,
    rate: int,
    channels: int,
) -> None:
    if not with_ffmpeg:
        monkeypatch.setattr(opus.shutil, "which", lambda name: None)
    # Noise below 4 kHz, which the codec keeps closely, and which shows a shift of one frame.
    from scipy.signal import firwin, lfilter

    audio = lfilter(firwin(101, 4_000, fs=rate), 1.0, noise(12 * rate, channels), axis=-1)
    found = list(opus.opus_chunks(AudioBuffer.of(audio, rate), 160, tmp_path))
    assert len(found) == 3
    assert list(tmp_path.iterdir()) == []
    at_48k = AudioBuffer.of(audio, rate)
    for index, encoded in enumerate(found):
        samples, found_rate = decoded(encoded)
        assert found_rate == 48_000
        expected = opus._window(at_48k, index).T
        inside = slice(round(MARGIN_S * 48_000), round((MARGIN_S + CHUNK_S) * 48_000))
        reference = expected[:, inside][:, : 2 * 48_000]
        errors = {
            lag: float(np.mean((samples[:, inside.start + lag :][:, : reference.shape[1]] - reference) ** 2))
            for lag in range(-2, 3)
        }
        assert min(errors, key=errors.__getitem__) == 0, errors
        assert errors[0] < 0.05 * float(np.mean(reference**2))


def test_an_ffmpeg_that_fails_is_done_without(
    noise: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    assert len(list(opus.opus_chunks(AudioBuffer.of(noise(44_100), 44_100), 160, tmp_path))) == 1


def test_odd_rates_get_a_clock_that_browsers_have() -> None:
    assert [page_rate(rate) for rate in (8_000, 44_100, 96_000)] == [8_000, 44_100, 96_000]
    assert {page_rate(rate) for rate in (4_000, 11_026, 192_000, 44_101)} == {48_000}
