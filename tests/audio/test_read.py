from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import lameenc
import numpy as np
import pytest
import soundfile

from engine.audio import decode, ffmpeg
from engine.audio.buffer import Audio, AudioBuffer
from engine.audio.read import content_digest, probe, read_audio
from engine.errors import Cancelled, InputError, OptionError, OutputError
from engine.progress import Progress

needs_ffmpeg = pytest.mark.skipif(not ffmpeg.available(), reason="needs ffmpeg")


class Recorder(Progress):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []

    def update(self, stage: str, done: int, total: int) -> None:
        assert stage == "read"
        self.seen.append((done, total))


def read_all(path: Path, into: Path) -> Audio:
    info = probe(path)
    return read_audio(info, 0, info.frames, into, Progress()).to_array()


def mp3(audio: Audio, rate: int, bit_rate: int = 192) -> bytes:
    encoder = lameenc.Encoder()
    encoder.set_bit_rate(bit_rate)
    encoder.set_in_sample_rate(rate)
    encoder.set_channels(audio.shape[0])
    encoder.silence()
    pcm = np.rint(audio.T * 32767).astype("<i2").tobytes()
    return bytes(encoder.encode(pcm) + encoder.flush())


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_frame_of_the_range_at_its_place(
    tmp_path: Path, noise: Callable[..., Audio], monkeypatch: pytest.MonkeyPatch, subtype: str
) -> None:
    monkeypatch.setattr(decode, "_BLOCK_FRAMES", 1000)
    path = tmp_path / "source.wav"
    soundfile.write(path, noise(10_007).T, 44100, subtype=subtype)
    whole, _ = soundfile.read(path, dtype="float32", always_2d=True)
    progress = Recorder()
    buffer = read_audio(probe(path), 1234, 9999, tmp_path / "range.f32", progress)
    assert buffer.path == tmp_path / "range.f32"
    assert (buffer.shape, buffer.sample_rate) == ((2, 8765), 44100)
    np.testing.assert_array_equal(buffer.to_array(), whole[1234:9999].T)
    assert progress.seen[0] == (0, 8765)
    assert progress.seen[-1] == (8765, 8765)


def test_float_samples_beyond_full_scale_and_dc_survive(tmp_path: Path) -> None:
    audio = np.float32([[2.5, -3.0, 0.25] * 1000, [0.25, 0.25, 0.25] * 1000])
    soundfile.write(tmp_path / "hot.wav", audio.T, 44100, subtype="FLOAT")
    np.testing.assert_array_equal(read_all(tmp_path / "hot.wav", tmp_path / "hot.f32"), audio)


@pytest.mark.parametrize(
    ("suffix", "subtype"), [("flac", "PCM_24"), ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III")]
)
def test_a_range_equals_that_part_of_the_whole(
    tmp_path: Path, noise: Callable[..., Audio], suffix: str, subtype: str
) -> None:
    path = tmp_path / f"source.{suffix}"
    soundfile.write(path, noise(60_000).T, 44100, subtype=subtype)
    whole = read_all(path, tmp_path / "whole.f32")
    part = read_audio(probe(path), 40_001, 50_003, tmp_path / "part.f32", Progress())
    np.testing.assert_array_equal(part.to_array(), whole[:, 40_001:50_003])


def test_mp3_starts_where_the_music_starts(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    audio = np.zeros((2, 44100), np.float32)
    audio[:, 10_000:] = noise(34_100)
    (tmp_path / "song.mp3").write_bytes(mp3(audio, 44100, 320))
    decoded = read_all(tmp_path / "song.mp3", tmp_path / "song.f32")
    # lameenc writes no length header, so the encoder's delay of 1105 frames (LAME 576, decoder 529) stays in;
    # what matters is that nothing is lost and that both decoders agree on the place of every frame.
    assert decoded.shape[1] >= 44100 + 1105
    spectrum = np.fft.rfft(decoded[0], 1 << 17) * np.fft.rfft(audio[0], 1 << 17).conj()
    assert int(np.argmax(np.fft.irfft(spectrum))) == 1105


@pytest.mark.parametrize("has_header", [True, False])
def test_a_cut_off_mp3_gives_what_is_there(
    tmp_path: Path, noise: Callable[..., Audio], has_header: bool
) -> None:
    path, cut = tmp_path / "song.mp3", tmp_path / "cut.mp3"
    if has_header:
        soundfile.write(path, noise(100_000).T, 44100)
    else:
        path.write_bytes(mp3(noise(100_000), 44100))
    whole = read_all(path, tmp_path / "whole.f32")
    data = path.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    found = read_all(cut, tmp_path / "cut.f32")
    assert 55_000 < found.shape[1] < 62_000
    np.testing.assert_array_equal(found[:, :-2304], whole[:, : found.shape[1] - 2304])


@needs_ffmpeg
def test_damage_that_ffmpeg_reports(tmp_path: Path, wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "song.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-c:a", "alac", path], check=True)
    info = probe(path)
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(InputError, match=r"song\.m4a is damaged or cut off .*Invalid data"):
        read_audio(info, 0, info.frames, tmp_path / "b.f32", Progress())


@needs_ffmpeg
@pytest.mark.parametrize("header", ["0", "1"])
@pytest.mark.parametrize("quality", [["-b:a", "128k"], ["-q:a", "2"]])
def test_mp3_has_the_frames_that_ffmpeg_finds(tmp_path: Path, header: str, quality: list[str]) -> None:
    # Soft noise, then loud: with variable bit rate and no header, a length guessed from the start is wrong.
    random = np.random.default_rng(0)
    audio = random.uniform(-1, 1, (2, 150_123)) * np.where(np.arange(150_123) < 70_000, 0.002, 0.5)
    source, path = tmp_path / "source.wav", tmp_path / "song.mp3"
    soundfile.write(source, audio.T, 44100, subtype="FLOAT")
    encode = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        source,
        "-c:a",
        "libmp3lame",
        *quality,
        "-write_xing",
        header,
        path,
    ]
    subprocess.run(encode, check=True)
    ours = read_all(path, tmp_path / "song.f32")
    theirs = np.concatenate(list(ffmpeg.decode(path, 2)), axis=1)
    assert ours.shape == theirs.shape
    assert ours.shape[1] == 150_123 or header == "0"
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@needs_ffmpeg
@pytest.mark.parametrize("codec", ["alac", "aac"])
def test_ranges_through_ffmpeg(tmp_path: Path, wav: Path, codec: str) -> None:
    path = tmp_path / "song.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-c:a", codec, path], check=True)
    whole = read_all(path, tmp_path / "whole.f32")
    part = read_audio(probe(path), 5000, 20_001, tmp_path / "part.f32", Progress()).to_array()
    np.testing.assert_array_equal(part, whole[:, 5000:20_001])
    source, _ = soundfile.read(wav, dtype="float32")
    if codec == "alac":
        np.testing.assert_array_equal(whole, source.T)
    else:  # the encoder's delay is gone
        spectrum = np.fft.rfft(whole[0], 1 << 16) * np.fft.rfft(source[:, 0], 1 << 16).conj()
        assert int(np.argmax(np.fft.irfft(spectrum))) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers(tmp_path: Path, noise: Callable[..., Audio], value: float) -> None:
    audio = noise(44100)
    audio[1, 11025] = audio[0, 30000] = value
    path = tmp_path / "nan.wav"
    soundfile.write(path, audio.T, 44100, subtype="FLOAT")
    with pytest.raises(InputError, match=r"nan\.wav holds 2 samples .* first at 0\.250 s") as caught:
        read_all(path, tmp_path / "nan.f32")
    assert caught.value.remedy
    assert not (tmp_path / "nan.f32").exists()
    assert read_audio(probe(path), 31_000, 44_000, tmp_path / "rest.f32", Progress()).frames == 13_000


@pytest.mark.parametrize("level", [0.0, 0.9e-6])
def test_silence(tmp_path: Path, level: float) -> None:
    path = tmp_path / "silent.wav"
    soundfile.write(path, np.full((44100, 2), level), 44100, subtype="FLOAT")
    with pytest.raises(InputError, match=r"silent\.wav is silent: there is nothing to enhance"):
        read_all(path, tmp_path / "silent.f32")
    assert not (tmp_path / "silent.f32").exists()


def test_a_silent_range(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    audio = noise(44100)
    audio[:, 22050:] = 0
    path = tmp_path / "half.wav"
    soundfile.write(path, audio.T, 44100)
    with pytest.raises(InputError, match=r"silent from 0\.60 s to 1\.00 s: there is nothing"):
        read_audio(probe(path), 26_460, 44_100, tmp_path / "half.f32", Progress())


def test_a_file_that_ends_early_while_decoding(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    path = tmp_path / "cut.flac"
    soundfile.write(path, noise(100_000).T, 44100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut\.flac is damaged or cut off at about .* of the 2\.27 s"):
        read_all(path, tmp_path / "cut.f32")
    assert not (tmp_path / "cut.f32").exists()


def test_a_source_that_shrinks_after_it_was_probed(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    path = tmp_path / "shrinking.wav"
    soundfile.write(path, noise(44_100).T, 44100)
    info = probe(path)
    soundfile.write(path, noise(22_050).T, 44100)
    with pytest.raises(InputError, match="cut off"):
        read_audio(info, 0, info.frames, tmp_path / "b.f32", Progress())
    path.unlink()
    with pytest.raises(InputError, match=r"shrinking\.wav"):
        read_audio(info, 0, info.frames, tmp_path / "b.f32", Progress())


@pytest.mark.parametrize(("start", "stop"), [(-1, 10), (5, 5), (9, 8), (0, 22051), (30000, 30001)])
def test_a_range_outside_the_file(tmp_path: Path, wav: Path, start: int, stop: int) -> None:
    with pytest.raises(OptionError, match=r"healthy\.wav"):
        read_audio(probe(wav), start, stop, tmp_path / "b.f32", Progress())


def test_cancelling_leaves_nothing(tmp_path: Path, wav: Path) -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        read_audio(probe(wav), 0, 22050, tmp_path / "b.f32", progress)
    assert not (tmp_path / "b.f32").exists()


def test_the_buffer_never_overwrites(tmp_path: Path, wav: Path) -> None:
    (tmp_path / "b.f32").write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"b\.f32"):
        read_audio(probe(wav), 0, 22050, tmp_path / "b.f32", Progress())
    assert (tmp_path / "b.f32").read_bytes() == b"precious"


def test_no_space_for_the_buffer(tmp_path: Path, wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AudioBuffer, "write", full)
    with pytest.raises(OutputError, match="the disk is full"):
        read_audio(probe(wav), 0, 22050, tmp_path / "b.f32", Progress())
    assert not (tmp_path / "b.f32").exists()


def test_the_source_stays_untouched(tmp_path: Path, wav: Path) -> None:
    before = (wav.read_bytes(), wav.stat().st_mtime_ns)
    read_all(wav, tmp_path / "b.f32")
    assert (wav.read_bytes(), wav.stat().st_mtime_ns) == before


def test_content_digest_tells_content_apart(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    audio = noise(1000)
    changed = audio.copy()
    changed[1, 999] = np.nextafter(changed[1, 999], np.float32(1))
    mono = audio.T.reshape(1, -1)
    stored = AudioBuffer.create(tmp_path / "same.f32", 2, 1000, 44100)
    stored.write(0, audio)
    digest = content_digest(AudioBuffer.of(audio, 44100))
    assert len(digest) == 64
    assert digest == content_digest(stored)
    others = [
        AudioBuffer.of(a, r)
        for a, r in [(audio, 48000), (changed, 44100), (mono, 44100), (audio[:, 1:], 44100)]
    ]
    assert len({digest, *map(content_digest, others)}) == 5
