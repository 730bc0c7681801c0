from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from engine.audio import bext, ixml, markers
from engine.audio.buffer import AudioBuffer
from engine.audio.wav_metadata import Marker, WavMetadata, derive, read_metadata
from engine.audio.write import OutputFormat, write_audio

FULL = WavMetadata(
    description="Scène 12 🎻",
    originator="RECORDER",
    originator_reference="DE1234567890",
    origination_date="2021-03-04",
    origination_time="12:34:56",
    time_reference=123_456_789_012,
    umid=bytes(range(64)),
    loudness_lufs=-23.1,
    loudness_range_lu=7.25,
    max_true_peak_db=-1.5,
    max_momentary_lufs=-18.0,
    max_short_term_lufs=None,
    coding_history="A=PCM,F=48000,W=24,M=stereo,T=desk",
    ixml=(
        "<BWFXML><IXML_VERSION>1.61</IXML_VERSION><PROJECT>Film &amp; Co</PROJECT>"
        "<SPEED><FILE_SAMPLE_RATE>48000</FILE_SAMPLE_RATE><TIMECODE_RATE>25/1</TIMECODE_RATE></SPEED>"
        "<FILE_SET><FILE_UID>ABC</FILE_UID><FAMILY_NAME>day 1</FAMILY_NAME></FILE_SET>"
        "<BEXT><BWF_TIME_REFERENCE_LOW>7</BWF_TIME_REFERENCE_LOW></BEXT>"
        "<TRACK_LIST><TRACK_COUNT>2</TRACK_COUNT>"
        "<TRACK><CHANNEL_INDEX>1</CHANNEL_INDEX><NAME>Boom</NAME><FUNCTION>M-MID</FUNCTION></TRACK>"
        "<TRACK><CHANNEL_INDEX>2</CHANNEL_INDEX><NAME>Lav</NAME></TRACK></TRACK_LIST>"
        "<VENDOR x='1'><DEEP>kept</DEEP></VENDOR></BWFXML>"
    ),
    markers=(Marker(0, "Intro"), Marker(1000, "Vérse 🎤", "second take"), Marker(2000, "Chorus", "", 500)),
)


def silence(frames: int = 4800, rate: int = 48000, channels: int = 2) -> AudioBuffer:
    return AudioBuffer.memory(channels, frames, rate)


def derived(metadata: WavMetadata, start: int = 0, frames: int = 4800) -> WavMetadata:
    return derive(
        metadata,
        start_frame=start,
        frames=frames,
        sample_rate=48000,
        track_name="song vocals",
        coding_history_line="A=PCM,F=48000,W=32,M=stereo,T=stemfix",
    )


def test_everything_survives_a_file(tmp_path: Path) -> None:
    path = tmp_path / "full.wav"
    write_audio(path, silence(), OutputFormat.PCM24, FULL, seed=0)
    found = read_metadata(path)
    assert found.ixml is not None
    assert ElementTree.fromstring(found.ixml).findtext("SPEED/AUDIO_BIT_DEPTH") == "24"
    fields = {name: getattr(found, name) for name in WavMetadata.__dataclass_fields__ if name != "ixml"}
    assert fields == {name: getattr(FULL, name) for name in fields}


def test_a_bare_file_has_no_metadata(tmp_path: Path) -> None:
    path = tmp_path / "bare.wav"
    write_audio(path, silence(), OutputFormat.FLOAT32, None, seed=0)
    assert read_metadata(path) == WavMetadata()
    assert b"bext" not in path.read_bytes()


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")
def test_other_programs_see_the_time_reference(tmp_path: Path) -> None:
    path = tmp_path / "full.wav"
    write_audio(path, silence(), OutputFormat.FLOAT32, FULL, seed=0)
    command = ["ffprobe", "-v", "error", "-show_entries", "format_tags", "-of", "json", path]
    tags = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["format"]["tags"]
    assert tags["time_reference"] == "123456789012"
    assert tags["comment"] == "Scène 12 🎻"
    assert tags["encoded_by"] == "RECORDER"
    assert tags["date"] == "2021-03-04"
    assert tags["coding_history"].strip() == FULL.coding_history


def test_derive_places_an_excerpt() -> None:
    found = derived(FULL, start=900, frames=1300)
    assert found.time_reference == 123_456_789_912
    assert found.markers == (Marker(100, "Vérse 🎤", "second take"), Marker(1100, "Chorus", "", 200))
    assert found.coding_history.splitlines() == [FULL.coding_history, "A=PCM,F=48000,W=32,M=stereo,T=stemfix"]
    assert (found.originator, found.description) == (FULL.originator, FULL.description)
    assert (found.origination_date, found.origination_time) == ("2021-03-04", "12:34:56")
    assert (found.umid, found.loudness_lufs, found.max_true_peak_db) == (b"", None, None)


def test_derive_brings_the_ixml_up_to_date_and_keeps_the_rest() -> None:
    found = derived(FULL, start=900)
    assert found.ixml is not None
    root = ElementTree.fromstring(found.ixml)
    assert root.findtext("PROJECT") == "Film & Co"
    assert root.findtext("SPEED/TIMECODE_RATE") == "25/1"
    assert root.findtext("VENDOR/DEEP") == "kept"
    assert root.findtext("FILE_SET/FAMILY_NAME") == "day 1"
    assert root.find("FILE_SET/FILE_UID") is None
    assert [track.findtext("NAME") for track in root.iter("TRACK")] == ["song vocals"] * 2
    assert root.findtext("TRACK_LIST/TRACK/FUNCTION") == "M-MID"
    for high, low in [
        ("SPEED/TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI", "SPEED/TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO"),
        ("BEXT/BWF_TIME_REFERENCE_HIGH", "BEXT/BWF_TIME_REFERENCE_LOW"),
    ]:
        assert (int(root.findtext(high, "")) << 32) + int(root.findtext(low, "")) == found.time_reference


def test_derive_from_a_source_without_metadata(tmp_path: Path) -> None:
    found = derived(WavMetadata(), start=480)
    assert (found.originator, found.description, found.time_reference) == ("stemfix", "song vocals", 480)
    assert (found.origination_date, found.origination_time) == ("", "")
    path = tmp_path / "new.wav"
    write_audio(path, silence(channels=1), OutputFormat.PCM16, found, seed=0)
    text = read_metadata(path).ixml
    assert text is not None
    root = ElementTree.fromstring(text)
    assert root.findtext("SPEED/AUDIO_BIT_DEPTH") == "16"
    assert root.findtext("SPEED/FILE_SAMPLE_RATE") == root.findtext("SPEED/TIMESTAMP_SAMPLE_RATE") == "48000"
    assert root.findtext("TRACK_LIST/TRACK_COUNT") == "1"


def test_each_channel_gets_a_track(tmp_path: Path) -> None:
    text = ixml.formatted(derived(WavMetadata()).ixml or "", channels=2, bits=32)
    root = ElementTree.fromstring(text)
    assert [track.findtext("INTERLEAVE_INDEX") for track in root.iter("TRACK")] == ["1", "2"]
    assert [track.findtext("NAME") for track in root.iter("TRACK")] == ["song vocals"] * 2


def test_a_track_name_may_hold_anything(tmp_path: Path) -> None:
    name = "<\"'&>\0\x1b 🎸\udcff" + "é" * 300
    found = derive(
        WavMetadata(),
        start_frame=0,
        frames=4800,
        sample_rate=48000,
        track_name=name,
        coding_history_line="A=PCM",
    )
    path = tmp_path / "odd.wav"
    write_audio(path, silence(), OutputFormat.FLOAT32, found, seed=0)
    back = read_metadata(path)
    assert back.description.startswith("<\"'&>")
    assert len(back.description.encode()) <= 256
    assert back.ixml is not None
    assert "🎸" in (ElementTree.fromstring(back.ixml).findtext("TRACK_LIST/TRACK/NAME") or "")


def test_regions_are_cut_to_the_excerpt() -> None:
    region = Marker(100, "bridge", "", 200)
    assert markers.shifted([region], 150, 1000) == (Marker(0, "bridge", "", 150),)
    assert markers.shifted([region], 50, 100) == (Marker(50, "bridge", "", 50),)
    assert markers.shifted([region], 300, 100) == ()
    assert markers.shifted([Marker(299)], 300, 100) == ()
    assert markers.shifted([Marker(300), Marker(400)], 300, 100) == (Marker(0),)


def test_metadata_before_or_after_the_samples_and_in_rf64(tmp_path: Path) -> None:
    rate, audio = 48000, np.zeros((100, 2))
    body = bext.build(FULL)
    chunk = b"bext" + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)
    for kind in ("WAV", "RF64"):
        path = tmp_path / f"{kind}.wav"
        soundfile.write(path, audio, rate, format=kind)
        with path.open("ab") as file:
            file.write(chunk)
        assert read_metadata(path).time_reference == FULL.time_reference


def test_other_formats_have_none(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros((4800, 2)), 48000)
    (tmp_path / "junk.wav").write_bytes(b"RIFF")
    for name in ("a.flac", "junk.wav", "absent.wav"):
        assert read_metadata(tmp_path / name) == WavMetadata()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<OTHER/>",
        b"<BWFXML><open></BWFXML>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><BWFXML>&a;</BWFXML>',
        b"<?xml version='1.0' encoding='no-such'?><BWFXML/>",
    ],
)
def test_junk_ixml_counts_as_none(body: bytes) -> None:
    assert ixml.parse(body) is None


def test_ixml_in_another_encoding_and_padded() -> None:
    text = "<?xml version='1.0' encoding='ISO-8859-1'?><BWFXML><NOTE>é</NOTE></BWFXML>"
    assert "é" in (ixml.parse(text.encode("latin-1") + b"\0\0") or "")


def test_text_in_latin1_is_understood() -> None:
    body = bytearray(bext.build(WavMetadata()))
    body[:4] = "café".encode("latin-1")
    assert bext.parse(bytes(body))["description"] == "café"


def test_random_damage_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "full.wav"
    write_audio(path, silence(50), OutputFormat.PCM16, FULL, seed=0)
    healthy = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(healthy)
        for _ in range(8):
            data[random.integers(0, len(data))] = random.integers(0, 256)
        path.write_bytes(data[: random.integers(1, len(data) + 1)])
        derived(read_metadata(path), frames=50)
