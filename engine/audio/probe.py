"""What a source file is, before work begins; a file that can't serve is refused with one sentence."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile

from engine.audio import ffmpeg
from engine.audio.channel_list import is_channel_list, read_channel_list
from engine.audio.containers import read_container
from engine.audio.decode import DecodeError, Decoder, decode, file_name
from engine.errors import InputError

#: Anything shorter is a slip of the mouse, not music.
MIN_SECONDS = 0.02
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000

#: libsndfile says so, or more, where a file does not give its length.
_UNKNOWN_FRAMES = 1 << 62
#: Mark for a length that must be counted by decoding.
_COUNT = -1
_COPY_AGAIN = "Copy or export the file again."


@dataclass(frozen=True)
class SourceInfo:
    """A readable source: `frames` frames of `channels` channels at `sample_rate` Hz."""

    path: Path
    sample_rate: int
    channels: int
    frames: int
    subtype: str
    container: str
    decoder: Decoder

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


def probe(path: Path) -> SourceInfo:
    """What the audio file at `path` holds. Formats whose header can't be trusted are decoded once to count.

    Raises InputError for whatever stemfix can't work on.
    """
    try:
        if is_channel_list(path):
            return _ask_channel_list(path)
        _check_file(path)
        _check_truncation(path)
    except PermissionError as error:
        raise InputError(f"{path} can't be read: there is no permission.", "Allow reading it.") from error
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}.", "Check the disk.") from error
    info = _ask_soundfile(path) or _ask_ffmpeg(path)
    _check_format(info)
    if info.frames == _COUNT:
        info = _counted(info)
    _check_length(info)
    return info


def _ask_channel_list(path: Path) -> SourceInfo:
    wanted = read_channel_list(path)
    info = SourceInfo(
        path,
        wanted.sample_rate,
        len(wanted.channels),
        wanted.frames,
        subtype="CHANNELS",
        container="channel list",
        decoder="channels",
    )
    _check_format(info)
    _check_length(info)
    return info


def _check_file(path: Path) -> None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path} does not exist.", "Check the path.") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path} is a folder.", "Give an audio file.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is not a regular file.", "Give an audio file.")
    if status.st_size == 0:
        raise InputError(f"{path} is empty (0 bytes).", _COPY_AGAIN)
    with open(path, "rb") as file:
        head = file.read(512)
    if _is_text(head):
        raise InputError(f"{path} holds text, not audio.", "Give an audio file.")


def _is_text(head: bytes) -> bool:
    # Text must never reach ffmpeg: it would take playlists and subtitles for media.
    if any(byte < 32 and byte not in b"\t\n\r\f" for byte in head):
        return False
    return b"\xff" not in head and b"\xfe" not in head


def _check_truncation(path: Path) -> None:
    container = read_container(path)
    if container is None or container.audio is None:
        return
    promised, present = container.audio.size, container.audio_present
    if present >= promised:
        return
    try:
        seconds = soundfile.info(file_name(path)).duration
        amount = f"it holds {seconds:.2f} s of the {seconds * promised / present:.2f} s"
    except (soundfile.SoundFileError, ZeroDivisionError):
        amount = f"it holds {present} of the {promised} bytes of audio"
    raise InputError(f"{path} is cut off: {amount} that its header promises.", _COPY_AGAIN)


def _ask_soundfile(path: Path) -> SourceInfo | None:
    """What libsndfile says about the file, or None if it can't read it."""
    try:
        found = soundfile.info(file_name(path))
    except soundfile.SoundFileError:
        return None
    if found.frames >= _UNKNOWN_FRAMES:  # soundfile can't read on without a length
        return None
    container = "WAV" if found.format == "WAVEX" else found.format
    # An MP3's header may be absent or wrong about the length; the truth costs 2 ms per second of music.
    frames = _COUNT if found.subtype.startswith("MPEG") else found.frames
    return SourceInfo(path, found.samplerate, found.channels, frames, found.subtype, container, "soundfile")


def _ask_ffmpeg(path: Path) -> SourceInfo:
    """What ffmpeg says about a file that libsndfile can't read."""
    known = read_container(path) is not None
    if not known and not ffmpeg.available():
        raise InputError(
            f"{path} is in a format that stemfix can't read by itself.",
            "Install ffmpeg, or convert the file to WAV or FLAC.",
        )
    stream = ffmpeg.first_audio_stream(path)
    if stream is None:
        raise InputError(
            f"{path} has a damaged header, or an encoding that can't be read."
            if known
            else f"{path} is no audio file that can be read.",
            "Export it again as WAV or FLAC.",
        )
    return SourceInfo(
        path, stream.sample_rate, stream.channels, _COUNT, stream.codec, stream.container, "ffmpeg"
    )


def _counted(info: SourceInfo) -> SourceInfo:
    """`info` with the number of frames that decoding really gives."""
    try:
        blocks = decode(info.path, info.decoder, info.channels)
        return replace(info, frames=sum(block.shape[1] for block in blocks))
    except DecodeError as error:
        raise InputError(f"{info.path} is damaged: {error}.", _COPY_AGAIN) from error


def _check_format(info: SourceInfo) -> None:
    if info.channels > 2:
        raise InputError(
            f"{info.path} has {info.channels} channels; stemfix works on mono and stereo.",
            "Split it into stereo pairs.",
        )
    if not MIN_SAMPLE_RATE <= info.sample_rate <= MAX_SAMPLE_RATE:
        raise InputError(
            f"{info.path} has a sample rate of {info.sample_rate} Hz; stemfix works from "
            f"{MIN_SAMPLE_RATE} Hz to {MAX_SAMPLE_RATE} Hz.",
            "Check the file or convert it.",
        )


def _check_length(info: SourceInfo) -> None:
    if info.frames == 0:
        raise InputError(
            f"{info.path} holds no audio (0 frames).",
            "Export it again; an interrupted recording must first be repaired by the program that made it.",
        )
    if info.seconds < MIN_SECONDS:
        raise InputError(
            f"{info.path} is too short: {info.frames} {'frame' if info.frames == 1 else 'frames'} "
            f"({info.seconds * 1000:.2f} ms).",
            f"Give at least {MIN_SECONDS * 1000:.0f} ms of audio.",
        )
