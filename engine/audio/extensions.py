"""The file name extensions that a search for recordings takes."""

from __future__ import annotations

_PCM = "wav wave bwf rf64 w64 aif aiff aifc caf au snd flac"
_CODED = "ogg oga opus mp3 mp2 m4a aac ac3 wma wv ape mpc mka webm"
#: What a folder is searched for, in lower case; a file that is named itself may be called anything.
AUDIO_EXTENSIONS = frozenset(f".{ending}" for ending in f"{_PCM} {_CODED}".split())
