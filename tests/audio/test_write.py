from __future__ import annotations

import hashlib
import io
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine import files
from engine.audio import wav_file, write
from engine.audio.buffer import Audio, AudioBuffer
from engine.audio.containers import read_container
from engine.audio.probe import probe
from engine.audio.wav_metadata import Marker, WavMetadata, derive, read_metadata
from engine.audio.write import OutputFormat, write_audio
from engine.errors import Cancelled, OptionError, OutputError
from engine.progress import Progress

METADATA = derive(
    WavMetadata(time_reference=1 << 40, markers=(Marker(7, "here"),)),
    start_frame=0,
    frames=10_000,
    sample_rate=44100,
    track_name="song drums",
    coding_history_line="A=PCM,T=stemfix",
)


@pytest.mark.parametrize("channels", [1, 2])
def test_float32_is_exact_bit_by_bit(tmp_path: Path, channels: int) -> None:
    random = np.random.default_rng(0)
    audio = np.frombuffer(random.bytes(40_000 * channels), np.float32).reshape(channels, -1).copy()
    audio[~np.isfinite(audio)] = -0.0
    result = write_audio(tmp_path / "a.wav", AudioBuffer.of(audio, 44100), OutputFormat.FLOAT32, METADATA, 0)
    found, rate = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    assert rate == 44100
    assert found.T.tobytes() == audio.tobytes()
    assert result.clipped == 0


@pytest.mark.parametrize("output_format", list(OutputFormat))
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [1, 10_001])
def test_every_format_reads_back(
    tmp_path: Path, noise: Callable[..., Audio], output_format: OutputFormat, channels: int, frames: int
) -> None:
    audio = noise(frames, channels)
    path = tmp_path / f"a{output_format.extension}"
    result = write_audio(path, AudioBuffer.of(audio, 96000), output_format, METADATA, 0)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.frames) == (96000, channels, frames)
    subtype = "FLOAT" if output_format.is_float else f"PCM_{output_format.bits}"
    assert info.subtype == subtype
    found, _ = soundfile.read(path, dtype="float64", always_2d=True)
    step = 0 if output_format.is_float else 2.0 ** (1 - output_format.bits)
    assert np.abs(found.T - audio).max() <= 1.5 * step
    assert result.bytes == path.stat().st_size
    assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("output_format", list(OutputFormat))
def test_same_input_same_bytes_whatever_the_block_size(
    tmp_path: Path, noise: Callable[..., Audio], monkeypatch: pytest.MonkeyPatch, output_format: OutputFormat
) -> None:
    buffer = AudioBuffer.of(noise(10_000), 44100)
    hashes = []
    for number, size in enumerate([1 << 19, 1 << 19, 777]):
        monkeypatch.setattr(write, "BLOCK_FRAMES", size)
        path = tmp_path / f"{number}{output_format.extension}"
        hashes.append(write_audio(path, buffer, output_format, METADATA, 5).sha256)
    if output_format.extension == ".wav":
        assert len(set(hashes)) == 1
    else:
        assert hashes[0] == hashes[1]
        first, second = (soundfile.read(tmp_path / f"{n}.flac", dtype="int32")[0] for n in (0, 2))
        np.testing.assert_array_equal(first, second)
    other = write_audio(tmp_path / f"x{output_format.extension}", buffer, output_format, METADATA, 6).sha256
    assert (other == hashes[0]) is output_format.is_float


@pytest.mark.parametrize("output_format", list(OutputFormat))
def test_clipping_is_counted_and_nothing_is_rescaled(tmp_path: Path, output_format: OutputFormat) -> None:
    audio = np.full((2, 1000), 0.5, np.float32)
    audio[0, :7], audio[1, :4] = 1.5, -2.0
    path = tmp_path / f"hot{output_format.extension}"
    result = write_audio(path, AudioBuffer.of(audio, 44100), output_format, None, 0)
    found, _ = soundfile.read(path)
    assert np.allclose(found[10:], 0.5, atol=1e-4)
    if output_format.is_float:
        assert result.clipped == 0
        assert found.max() == 1.5
    else:
        assert result.clipped == 11
        assert found[:4, 1].max() == -1.0
        assert 0.999 < found[:7, 0].min() < 1.0


@pytest.mark.parametrize("output_format", [OutputFormat.FLOAT32, OutputFormat.PCM24])
@pytest.mark.parametrize("channels", [1, 2])
def test_beyond_the_riff_limit_it_becomes_rf64(
    tmp_path: Path,
    noise: Callable[..., Audio],
    monkeypatch: pytest.MonkeyPatch,
    output_format: OutputFormat,
    channels: int,
) -> None:
    audio = noise(10_001, channels)
    write_audio(tmp_path / "riff.wav", AudioBuffer.of(audio, 44100), output_format, METADATA, 0)
    monkeypatch.setattr(wav_file, "RIFF_LIMIT", 30_000)
    path = tmp_path / "big.wav"
    write_audio(path, AudioBuffer.of(audio, 44100), output_format, METADATA, 0)
    assert path.read_bytes()[:4] == b"RF64"
    assert soundfile.info(path).format == "RF64"
    big, _ = soundfile.read(path, dtype="float32", always_2d=True)
    small, _ = soundfile.read(tmp_path / "riff.wav", dtype="float32", always_2d=True)
    np.testing.assert_array_equal(big, small)
    assert read_metadata(path) == read_metadata(tmp_path / "riff.wav")
    assert probe(path).frames == 10_001
    if shutil.which("ffmpeg"):
        command = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-"]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        np.testing.assert_array_equal(np.frombuffer(raw, "<f4"), big.reshape(-1))


def test_sizes_of_a_file_of_many_gigabytes() -> None:
    frames = 6 * 3600 * 96_000
    layout = wav_file.wav_layout(2, frames, 96_000, 32, True, METADATA)
    assert layout.head[:8] == b"RF64\xff\xff\xff\xff"
    assert layout.head[12:16] == b"ds64"
    riff, data, count = struct.unpack_from("<QQQ", layout.head, 20)
    assert data == frames * 8
    assert count == frames
    assert riff == len(layout.head) - 8 + data + len(layout.tail)
    assert len(layout.head) == len(wav_file.wav_layout(2, 10, 96_000, 32, True, METADATA).head)


@pytest.mark.parametrize(
    ("channels", "frames", "limit_is_passed"), [(2, 536_870_000, False), (2, 536_871_000, True)]
)
def test_riff_is_kept_to_the_very_limit(channels: int, frames: int, limit_is_passed: bool) -> None:
    head = wav_file.wav_layout(channels, frames, 44100, 32, True, None).head
    assert head.startswith(b"RF64") is limit_is_passed


@pytest.mark.parametrize("output_format", [OutputFormat.FLOAT32, OutputFormat.PCM24, OutputFormat.PCM16])
def test_chunks_fit_the_file_exactly(
    tmp_path: Path, noise: Callable[..., Audio], output_format: OutputFormat
) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, AudioBuffer.of(noise(10_001, 1), 44100), output_format, METADATA, 0)
    container = read_container(path)
    assert container is not None
    names = [chunk.name for chunk in container.chunks]
    fact = [b"fact"] if output_format.is_float else []
    assert names == [b"JUNK", b"bext", b"fmt ", *fact, b"data", b"iXML", b"cue ", b"LIST"]
    last = container.chunks[-1]
    assert last.offset + last.size + (last.size & 1) == container.length
    assert struct.unpack_from("<I", path.read_bytes(), 4)[0] == container.length - 8


@pytest.mark.parametrize(
    "name", ["two words.wav", 'it\'s "quoted".flac', "läuft 🎸.wav", "-rf.flac", "a%03d.wav"]
)
def test_any_file_name(tmp_path: Path, noise: Callable[..., Audio], name: str) -> None:
    output_format = OutputFormat.FLAC16 if name.endswith("flac") else OutputFormat.FLOAT32
    write_audio(tmp_path / name, AudioBuffer.of(noise(5000), 44100), output_format, METADATA, 0)
    assert probe(tmp_path / name).frames == 5000


@pytest.mark.parametrize("output_format", [OutputFormat.FLOAT32, OutputFormat.FLAC24])
def test_an_existing_file_is_never_overwritten(
    tmp_path: Path, noise: Callable[..., Audio], output_format: OutputFormat
) -> None:
    path = tmp_path / "precious"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"precious .* never overwritten"):
        write_audio(path, AudioBuffer.of(noise(5000), 44100), output_format, METADATA, 0)
    assert path.read_bytes() == b"precious"


class FullDisk(io.FileIO):
    """A file on a disk that is full after 20000 bytes."""

    def write(self, data: object) -> int:
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        if self.tell() + size > 20_000:
            raise OSError(28, "No space left on device")
        return super().write(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("output_format", list(OutputFormat))
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, noise: Callable[..., Audio], monkeypatch: pytest.MonkeyPatch, output_format: OutputFormat
) -> None:
    monkeypatch.setattr(files, "open", FullDisk, raising=False)
    path = tmp_path / f"big{output_format.extension}"
    with pytest.raises(OutputError, match=r"big.* the disk is full\. Free some space"):
        write_audio(path, AudioBuffer.of(noise(50_000), 44100), output_format, METADATA, 0)
    assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize("output_format", ["float32", "flac24"])
def test_a_real_refusal_of_the_system_leaves_nothing(tmp_path: Path, output_format: str) -> None:
    path = tmp_path / "big"
    code = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from engine.audio.write import *; from engine.audio.buffer import AudioBuffer\n"
        "audio = np.random.default_rng(0).uniform(-1, 1, (2, 100_000))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "buffer = AudioBuffer.of(audio, 44100)\n"
        f"write_audio(Path(sys.argv[1]), buffer, OutputFormat('{output_format}'), None, 0)"
    )
    root = Path(files.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, cwd=root)
    assert "OutputError" in done.stderr.splitlines()[-1]
    assert "larger than the file system allows" in done.stderr
    assert not path.exists()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (13, "no permission"),
        (1, "no permission"),
        (30, "read-only"),
        (2, "folder does not exist"),
        (20, "folder does not exist"),
        (36, "too long"),
        (5, "input/output"),
        (16, "busy"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="error numbers of Linux")
def test_what_the_system_refuses_is_said_plainly(tmp_path: Path, number: int, words: str) -> None:
    path = tmp_path / "out.wav"
    with pytest.raises(OutputError) as caught, files.output_errors(path):
        raise OSError(number, "Device or resource busy")
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert caught.value.remedy


def test_a_folder_that_vanished(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    path = tmp_path / "gone" / "a.wav"
    with pytest.raises(OutputError, match="folder does not exist"):
        write_audio(path, AudioBuffer.of(noise(5000), 44100), OutputFormat.FLOAT32, METADATA, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("output_format", [OutputFormat.FLOAT32, OutputFormat.PCM16, OutputFormat.FLAC24])
def test_a_broken_result_is_not_written(
    tmp_path: Path, noise: Callable[..., Audio], value: float, output_format: OutputFormat
) -> None:
    audio = noise(5000)
    audio[1, 4000] = value
    with pytest.raises(OutputError, match="not finite"):
        write_audio(tmp_path / "a", AudioBuffer.of(audio, 44100), output_format, METADATA, 0)
    assert not (tmp_path / "a").exists()


def test_cancelling_leaves_nothing(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        write_audio(
            tmp_path / "a.wav", AudioBuffer.of(noise(5000), 44100), OutputFormat.FLOAT32, None, 0, progress
        )
    assert not (tmp_path / "a.wav").exists()


@pytest.mark.parametrize("rate", [8000, 44100, 88200, 96000, 192000, 384000])
def test_flac_rates(tmp_path: Path, noise: Callable[..., Audio], rate: int) -> None:
    path = tmp_path / "a.flac"
    write_audio(path, AudioBuffer.of(noise(20_000), rate), OutputFormat.FLAC24, METADATA, 0)
    assert (probe(path).sample_rate, probe(path).frames) == (rate, 20_000)


@pytest.mark.parametrize("rate", [65_537, 88_201, 768_000])
def test_rates_that_flac_does_not_know(tmp_path: Path, noise: Callable[..., Audio], rate: int) -> None:
    with pytest.raises(OptionError, match=rf"FLAC does not know a sample rate of {rate} Hz\. Choose float32"):
        write_audio(tmp_path / "a.flac", AudioBuffer.of(noise(5000), rate), OutputFormat.FLAC24, METADATA, 0)
    assert not (tmp_path / "a.flac").exists()


def test_flac_says_where_it_starts(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    path = tmp_path / "a.flac"
    write_audio(path, AudioBuffer.of(noise(5000), 44100), OutputFormat.FLAC16, METADATA, 0)
    with soundfile.SoundFile(path) as flac:
        assert flac.title == "song drums"
        assert flac.artist == "stemfix"
        assert "frame 1099511627776 (44100 Hz)" in flac.comment
