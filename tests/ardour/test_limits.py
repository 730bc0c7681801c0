"""What a session can hold that is no plain stereo region, and a disk that fills up while stems come in."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from app import Ardour, Home, wait_for

RATE = 48_000
STEMS = ("drums", "bass", "other", "vocals")
_REGIONS = """
for _, t in ipairs (Session:get_tracks ():table ()) do
  if not t:to_track ():isnil () then
    local muted = 0
    local list = t:to_track ():playlist ():region_list ():table ()
    for _, r in ipairs (list) do if r:muted () then muted = muted + 1 end end
    say (t:name (), #list, muted)
  end
end
"""
_PARTS = 'local playlist = Session:route_by_name ("parts"):to_track ():playlist ()'


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small disk of its own, where the test may make one."""
    folder = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def session(home: Home, disk: Path) -> Path:
    """An empty session on the small disk."""
    made = home.new_session("limits", RATE)
    return Path(shutil.move(made.parent, disk)) / made.name


@pytest.fixture(scope="module")
def ardour(start: Callable[[Path], Ardour], session: Path) -> Iterator[Ardour]:
    running = start(session)
    yield running
    running.kill()


def noise(path: Path, seconds: float, channels: int = 2) -> Path:
    generator = np.random.default_rng(channels)
    audio = 0.1 * generator.standard_normal((int(seconds * RATE), channels))
    soundfile.write(path, audio.astype(np.float32), RATE, subtype="FLOAT")
    return path


def refused(home: Home, ardour: Ardour, action: str) -> str:
    """Trigger an action that must change nothing; the message of its dialog."""
    before = ardour.lua(_REGIONS)
    since = len(home.log())
    ardour.act(action)
    text = ardour.wait_for_log("Warning:", since)
    ardour.close_dialog()
    wait_for("the dialog's end", lambda: not ardour.windows("^stemfix$"), 10)
    assert ardour.lua(_REGIONS) == before
    return text


def last_result(session: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((session.parent / "stemfix" / "last.json").read_text())
    return found


def test_a_region_of_four_channels_is_refused(home: Home, ardour: Ardour, tmp_path: Path) -> None:
    ardour.select(ardour.add_region(noise(tmp_path / "four.wav", 1, channels=4), 1_000))
    message = refused(home, ardour, "stemfix_enhance")
    assert "has 4 channels; stemfix works on mono and stereo." in message


def test_a_midi_region_is_refused(home: Home, ardour: Ardour, tmp_path: Path) -> None:
    midi = tmp_path / "notes.mid"
    note = bytes.fromhex("00903c40 8360803c40 00ff2f00")
    midi.write_bytes(
        b"MThd" + bytes.fromhex("00000006 0000 0001 0060") + b"MTrk" + len(note).to_bytes(4, "big") + note
    )
    (made,) = ardour.lua(
        f"""
        local files = C.StringVector () files:push_back ("{midi}")
        Editor:do_import (files, Editing.ImportSerializeFiles, Editing.ImportAsTrack,
          ARDOUR.SrcQuality.SrcBest, ARDOUR.MidiTrackNameSource.SMFTrackName,
          ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
          Temporal.timepos_t (0), ARDOUR.PluginInfo (), ARDOUR.Track (), false)
        for _, t in ipairs (Session:get_tracks ():table ()) do
          for _, r in ipairs (t:to_track ():playlist ():region_list ():table ()) do
            if r:to_audioregion ():isnil () then say (r:to_stateful ():id ():to_s ()) end
          end
        end
        """
    )
    ardour.select(made)
    assert "The selected regions hold no audio." in refused(home, ardour, "stemfix_enhance")


def test_a_combined_region_goes_out_as_it_sounds(
    home: Home, ardour: Ardour, session: Path, tmp_path: Path
) -> None:
    path = noise(tmp_path / "parts.wav", 2)
    ardour.add_region(path, 10_000)
    parts = ardour.lua(
        f"""
        {_PARTS}
        playlist:split_region (playlist:region_list ():table ()[1], Temporal.timepos_t (50000))
        for _, r in ipairs (playlist:region_list ():table ()) do say (r:to_stateful ():id ():to_s ()) end
        """
    )
    assert len(parts) == 2
    ardour.select(*parts)
    ardour.access("Region/combine-regions")
    wait_for("the combined region", lambda: "parts\t1\t0" in ardour.lua(_REGIONS), 10)
    (made,) = ardour.lua(f"{_PARTS} say (playlist:region_list ():table ()[1]:to_stateful ():id ():to_s ())")
    ardour.select(made)
    since = len(home.log())
    ardour.act("stemfix_separate")
    ardour.wait_for_log("Outcome: done", since)
    job = last_result(session)["jobs"][0]  # type: ignore[index]
    assert job["source"].endswith(".wav"), "no file holds a combined region: Ardour has to read it"
    stems = [soundfile.read(file["path"], dtype="float64")[0] for file in job["result"]["files"]]
    error = np.abs(sum(stems) - soundfile.read(path, dtype="float64")[0])
    # Where it was split, Ardour fades the two parts over 64 samples.
    assert np.delete(error, slice(50_000 - 10_000 - 64, 50_000 - 10_000 + 64), axis=0).max() < 1e-6


def test_a_disk_that_fills_up_while_ardour_takes_the_stems_in(
    home: Home, ardour: Ardour, session: Path, tmp_path: Path
) -> None:
    ardour.select(ardour.add_region(noise(tmp_path / "no-room.wav", 2), 4_321))
    since = len(home.log())
    ardour.act("stemfix_separate")
    ardour.wait_for_log("Outcome: done", since)
    ardour.access("Editor/undo")
    wait_for("the undo", lambda: "no-room\t1\t0" in ardour.lua(_REGIONS), 10)
    ballast = session.parent / "ballast"
    ours, audio = session.parent / "stemfix", session.parent / "interchange" / session.stem / "audiofiles"
    before = set(audio.iterdir())
    try:
        # On another disk there are no hard links, and there is room for one copy of four.
        kept = ours.rename(ours.with_name("kept"))
        ours.symlink_to(shutil.copytree(kept, tmp_path / "stemfix"))
        ballast.write_bytes(bytes(shutil.disk_usage(session.parent).free - 1_200_000))
        message = refused(home, ardour, "stemfix_import_last")
        assert "could not be put into the session" in message
        assert "Is the disk full?" in message
        assert set(audio.iterdir()) == before
        ours.unlink()
        kept.rename(ours)
        # Links take no room.
        since = len(home.log())
        ardour.act("stemfix_import_last")
        ardour.wait_for_log("Brought in", since)
    finally:
        ballast.unlink()
    assert "no-room\t1\t1" in ardour.lua(_REGIONS)
