"""A channel list: a small JSON file that stands for a recording and names where each channel's samples lie.

Ardour keeps a stereo recording as two mono files. A client that lists them, instead of writing them into one
file first, hands over any length at once and exactly:

    {"channel_list_version": "1.0", "sample_rate": 48000,
     "channels": [{"path": "/song/Voice%L.wav", "channel": 0}, {"path": "/song/Voice%R.wav", "channel": 0}]}
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.audio.buffer import Audio
from engine.errors import InputError

SUFFIX = ".stemfix-channels"
VERSION = "1.0"
_LARGEST_BYTES = 1 << 20
_BLOCK_FRAMES = 1 << 15
#: Samples stored one by one: only there a frame's number means the same to every program.
_EXACT = ("PCM_", "FLOAT", "DOUBLE")
_REMEDY = "Write the list again, or export the recording as one WAV file."


class Channel(BaseModel):
    """One channel of one audio file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    #: Counted from 0.
    channel: int = Field(0, ge=0)


class ChannelList(BaseModel):
    """The channels of a recording, in order."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    channel_list_version: str = Field(pattern=r"^1\.\d{1,9}$")
    #: At which the samples are played, whatever the files' own headers say.
    sample_rate: int = Field(gt=0)
    channels: tuple[Channel, ...] = Field(min_length=1, max_length=2)

    @property
    def frames(self) -> int:
        """Frames that all channels have. Raises InputError where a file can't be read."""
        return min(_inspect(channel) for channel in self.channels)


def is_channel_list(path: Path) -> bool:
    """Whether the name says that the file is a channel list."""
    return path.suffix == SUFFIX


def read_channel_list(path: Path) -> ChannelList:
    """The list in the file at `path`. Raises InputError for one that can't be used, OSError."""
    with open(path, "rb") as file:
        data = file.read(_LARGEST_BYTES + 1)
    try:
        found = ChannelList.model_validate(json.loads(data))
    except (ValidationError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "it is not JSON"
        raise InputError(f"{path} is not a channel list of version {VERSION}: {reason}.", _REMEDY) from None
    for channel in found.channels:
        if not channel.path.is_absolute():
            raise InputError(f"{path} names '{channel.path}', which is not an absolute path.", _REMEDY)
    return found


def decode_channel_list(path: Path, start: int) -> Generator[Audio, None, None]:
    """Blocks from frame `start` on, float32, shape (channels, n).

    Raises InputError, OSError, LibsndfileError.
    """
    wanted = read_channel_list(path)
    with ExitStack() as stack:
        # Two channels of one file are read once.
        files = {
            file: stack.enter_context(soundfile.SoundFile(file))
            for file in {channel.path for channel in wanted.channels}
        }
        for sound in files.values():
            sound.seek(start)
        while True:
            blocks = {
                file: sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
                for file, sound in files.items()
            }
            frames = min(len(block) for block in blocks.values())
            if frames == 0:
                return
            yield np.stack([blocks[channel.path][:frames, channel.channel] for channel in wanted.channels])


def _inspect(channel: Channel) -> int:
    """Frames of the channel's file. Raises InputError where it can't serve."""
    try:
        info = soundfile.info(channel.path)
    except soundfile.SoundFileError as error:
        why = "it can't be read" if channel.path.exists() else "it is not there"
        raise InputError(f"{channel.path} can't be used: {why}.", "Check the recording's files.") from error
    if not info.subtype.startswith(_EXACT):
        raise InputError(f"{channel.path} is stored in a lossy format ({info.subtype}).", _REMEDY)
    if channel.channel >= info.channels:
        raise InputError(
            f"{channel.path} has {info.channels} channels, and channel {channel.channel + 1} is asked for.",
            _REMEDY,
        )
    return int(info.frames)
