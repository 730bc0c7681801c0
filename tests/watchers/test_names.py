from __future__ import annotations

import pytest

from watchers.names import is_recording, is_searched


@pytest.mark.parametrize(
    "name",
    [
        "song.wav",
        "Song.WAV",
        "läuft 🎸.flac",
        "suite.part.wav",
        "#1 hit.wav",
        "a.b.c.mp3",
        "-song.ogg",
        "template.wav",
        "download.wav",
    ],
)
def test_recordings(name: str) -> None:
    assert is_recording(name)
    assert is_recording(name, ("*",))


@pytest.mark.parametrize(
    "name",
    [
        "song.wav.part",
        "song.wav.PARTIAL",
        "song.wav.filepart",
        "song.wav.tmp",
        "song.tmp.wav",
        "song.temp.m4a",
        "song.wav.crdownload",
        "Unconfirmed 123.crdownload",
        "song.wav.download",
        "song.wav~",
        "~song.wav",
        "~$song.wav",
        "~syncthing~song.wav.tmp",
        ".syncthing.song.wav.tmp",
        ".song.wav",
        "._song.wav",
        ".song.wav.Ab12Cd",
        ".~song.wav",
        "#song.wav#",
        "song.wav.ocTransferId12.part",
        ".song.wav.icloud",
        "song.wav.sb-1a2b3c4d-xyz",
        ".goutputstream-ABC",
        "song.wav.stemfix-failed.txt",
        "song.wav.stemfix-same.txt",
    ],
)
def test_files_that_are_never_taken(name: str) -> None:
    assert not is_recording(name)
    assert not is_recording(name, ("*",))


def test_folders_that_are_searched() -> None:
    assert is_searched("album")
    for name in ("song.stemfix", "song-2.STEMFIX", ".song.stemfix.job-1", ".git", "song.wav.download"):
        assert not is_searched(name)
