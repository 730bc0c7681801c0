"""The whole round trip in the real Ardour: what comes back sums to what went out, at the same sample."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from app import Ardour, Home
from session_file import SavedSession, read_session

STEMS = ("drums", "bass", "other", "vocals")
#: The null that is promised for chains that do nothing.
NULL_DB = -120.0


@dataclass(frozen=True)
class Case:
    """A region to be enhanced. Times are in samples of the session."""

    name: str
    position: int
    length: int
    channels: int = 2
    start: int = 0
    #: Of the file that is imported; None for the session's own.
    file_rate: int | None = None
    #: Lua that changes the region `r`.
    change: str = ""
    #: The file stays where it lies, in a format that the engine is not asked to read: Ardour reads it.
    embedded_au: bool = False
    #: The header of the session's own file claims another rate, as that of a file taken in at the wrong one.
    wrong_header: bool = False

    @property
    def end(self) -> int:
        return self.position + self.length


def write_source(case: Case, folder: Path, rate: int) -> Path:
    """Noise and a tone, longer than the region needs."""
    file_rate = case.file_rate or rate
    frames = int((case.start + case.length + 5_000) * file_rate / rate) + 100
    generator = np.random.default_rng(len(case.name) + case.position)
    time = np.arange(frames)[:, None] / file_rate
    audio = 0.1 * generator.standard_normal((frames, case.channels)) + 0.1 * np.sin(2 * np.pi * 330 * time)
    # Ardour will look for an embedded file by its name: nothing else may lie beside it.
    path = folder / "au" / f"{case.name}.au" if case.embedded_au else folder / f"{case.name}.wav"
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, audio.astype(np.float32), file_rate, subtype="FLOAT")
    return path


def level_db(audio: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(audio, dtype=np.float64))) + 1e-30))


def build(ardour: Ardour, cases: list[Case], folder: Path, rate: int) -> dict[str, str]:
    """Put all cases into the open session; region ids by case."""
    ids = {}
    for case in cases:
        ids[case.name] = ardour.add_region(
            write_source(case, folder, rate), case.position, case.start, case.length, case.embedded_au
        )
        if case.change:
            ardour.lua(
                f"""local r = Session:route_by_name ("{case.name}"):to_track ():playlist ()
                  :region_list ():table ()[1]:to_audioregion () {case.change}"""
            )
    return ids


def claim_other_rate(session: Path, case: Case) -> None:
    """Change the rate in the headers of the region's own files, and nothing else."""
    files = sorted((session.parent / "interchange").rglob(f"{case.name}*.wav"))
    assert len(files) == case.channels
    for path in files:
        data = bytearray(path.read_bytes()[:200])
        at = data.index(b"fmt ") + 12
        rate = struct.unpack_from("<I", data, at)[0]
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(struct.pack("<I", 44_100 if rate != 44_100 else 48_000))


def store_as_24_bit(session: Path) -> None:
    """What Ardour records and imports in this session has 24 bits."""
    text = session.read_text()
    old, new = (f'name="native-file-data-format" value="{name}"' for name in ("FormatFloat", "FormatInt24"))
    assert old in text
    session.write_text(text.replace(old, new))


def send_to_bus(ardour: Ardour, case: Case) -> None:
    """Let the case's track play into a bus of its own, with a gain, that plays into Master."""
    ardour.lua(
        f"""local bus = Session:new_audio_route (2, 2, nil, 1, "Bus", ARDOUR.PresentationInfo.Flag.AudioBus,
          ARDOUR.PresentationInfo.max_order):table ()[1]
        bus:set_name ("Bus")
        bus:gain_control ():set_value (0.5, PBD.GroupControlDisposition.NoGroup)
        local out = Session:route_by_name ("{case.name}"):output ()
        for i = 0, 1 do
          out:audio (i):disconnect_all ()
          out:audio (i):connect (bus:input ():audio (i):name ())
        end"""
    )


def check_session(saved: SavedSession, cases: list[Case]) -> None:
    """Every original is muted, and its stems lie beside it at the same sample."""
    assert saved.unconnected == []
    assert not [path for path in saved.foreign_sources if not path.endswith(".au")]
    for case in cases:
        (original,) = saved.on(case.name)
        assert (original.position, original.start, original.length, original.muted) == (
            case.position,
            case.start,
            case.length,
            True,
        )
        tracks = [f"{case.name} {stem}" for stem in STEMS]
        for track in tracks:
            (stem,) = saved.on(track)
            assert (stem.position, stem.start, stem.length, stem.muted) == (
                case.position,
                0,
                case.length,
                False,
            )
            assert (stem.name, stem.channels, stem.gain) == (track, case.channels, original.gain)
        at = saved.order.index(case.name)
        assert saved.order[at + 1 : at + 5] == tracks
        assert saved.groups[f"stemfix {case.name}"] == set(tracks)
        assert len({saved.colours[track] for track in tracks}) == len(STEMS)


def check_null(original: Path, stems: Path, cases: list[Case]) -> dict[str, float]:
    """Null depth in dB per case; the whole time line nulls too."""
    before, after = (soundfile.read(path, dtype="float64", always_2d=True)[0] for path in (original, stems))
    assert before.shape == after.shape
    depths = {}
    for case in cases:
        part = slice(case.position, case.end)
        assert level_db(before[part]) > -40, case.name
        depths[case.name] = level_db(before[part] - after[part])
        shifted = level_db(before[part][1:] - after[part][:-1])
        assert shifted > -50, f"{case.name}: a shift by one sample would not show"
    assert max(depths.values()) <= NULL_DB, depths
    assert np.abs(before - after).max() < 1e-6
    return depths


def cases_at(rate: int) -> list[Case]:
    """What must work at every rate: place 0, odd and snapped ones, mono and stereo, offsets, other rates."""
    other = 44_100 if rate != 44_100 else 48_000
    second = rate
    return [
        Case("first", 0, second + 1),
        Case("mono-odd", 2 * second + 7_777, second + 4_321, channels=1, start=7_919),
        Case("stereo-offset", 4 * second + 13, second, start=12_345),
        Case("snapped-converted", 6 * second, second, file_rate=other),
        Case("other-rate", 8 * second + 1, second - 1, start=101, wrong_header=True),
    ]


def fade(side: str, shape: str, length: int) -> str:
    return f"r:set_fade_{side}_shape (ARDOUR.FadeShape.{shape}) r:set_fade_{side}_length ({length}) "


#: Everything that shapes a region.
SHAPED = [
    Case("gain", 10 * 48_000 + 5, 48_000, change="r:set_scale_amplitude (0.4321)"),
    Case(
        "envelope",
        12 * 48_000 + 5,
        48_000,
        start=500,
        channels=1,
        change="""local e = r:envelope () e:clear_list ()
          for i, g in ipairs ({ 1, 0.2, 0.9, 0.5 }) do
            e:add (Temporal.timepos_t ((i - 1) * 15999), g, false, true)
          end
          r:set_envelope_active (true) r:set_scale_amplitude (1.5)""",
    ),
    *(
        Case(
            f"fade-{shape}",
            (14 + 2 * index) * 48_000 + 3,
            60_000,
            start=77,
            change=fade("in", f"Fade{shape}", 9_001) + fade("out", f"Fade{shape}", 20_011),
        )
        for index, shape in enumerate(("Linear", "Fast", "Slow", "ConstantPower", "Symmetric"))
    ),
    Case("read-by-ardour", 26 * 48_000 + 5, 48_001, start=1_003, embedded_au=True),
    Case(
        "no-fades",
        24 * 48_000 + 3,
        30_000,
        change="r:set_fade_in_active (false) r:set_fade_out_active (false)",
    ),
]


@pytest.mark.parametrize("rate", [44_100, 48_000, 88_200, 96_000])
def test_the_stems_sum_to_the_regions_at_their_sample(
    rate: int, home: Home, start: Callable[[Path], Ardour], tmp_path: Path
) -> None:
    cases = cases_at(rate) + (SHAPED if rate == 48_000 else [])
    session = home.new_session(f"rate-{rate}", rate)
    if rate == 44_100:
        store_as_24_bit(session)
    ardour = start(session)
    ids = build(ardour, cases, tmp_path, rate)
    pulse = max(case.end for case in cases) + rate // 2
    stop = pulse + rate // 2
    ardour.add_pulse(pulse, rate)
    if rate == 88_200:
        send_to_bus(ardour, cases[2])
    ardour.save()
    for case in cases:
        if case.wrong_header:
            claim_other_rate(session, case)
    before = home.export(session, tmp_path / "before.wav", 0, stop, pulse)

    # One region by itself, then the others at once: one job each, and one undo step.
    alone, *others = cases
    for chosen in ([alone], others):
        since = len(home.log())
        ardour.select(*(ids[case.name] for case in chosen))
        ardour.act("stemfix_enhance")
        ardour.wait_for_log("Outcome: done", since, 120)
    ardour.quit()
    check_session(read_session(session), cases)
    depths = check_null(before, home.export(session, tmp_path / "after.wav", 0, stop, pulse), cases)
    print({name: round(depth, 1) for name, depth in depths.items()})
    assert [step for step in read_session(session).undo_steps if step.startswith("stemfix")] == [
        "stemfix: first",
        f"stemfix: {others[0].name} and others",
    ]
