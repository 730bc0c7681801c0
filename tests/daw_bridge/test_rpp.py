"""A project file gets stems: the copy differs in nothing else, and what can't be exact is refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from daw_bridge.reaper.chunk import find_blocks, number, quoted, split_lines, words
from daw_bridge.reaper.item import Item
from daw_bridge.reaper.project import Project
from daw_bridge.reaper.project_copy import write_copy
from daw_bridge.reaper.result import Result, load_result
from engine.errors import InputError, OptionError, OutputError, StemfixError

Publish = Callable[..., Path]
RATE = 8_000

WAVE = '<SOURCE WAVE\n  FILE "mix.wav"\n>'
SECTION = (
    "<SOURCE SECTION\n  LENGTH {length}\n  MODE {mode}\n  STARTPOS {start}\n  OVERLAP 0.01\n  " + WAVE + "\n>"
)


def item(source: str = WAVE, *, extra: str = "", **changes: Any) -> str:
    keys = {
        "POSITION": "7.3",
        "LENGTH": "2",
        "LOOP": "0",
        "FADEIN": "1 0.2 0 1 0 0 0",
        "MUTE": "0 0",
        "SEL": "1",
        "IGUID": "{22222222-2222-2222-2222-222222222222}",
        "IID": "1",
        "NAME": "'my \"mix\"'",
        "VOLPAN": "0.8 -0.3 1.1 -1",
        "SOFFS": "1.7512345",
        "PLAYRATE": "1.25 1 0 -1 0 0.0025",
        "GUID": "{33333333-3333-3333-3333-333333333333}",
        **changes,
    }
    lines = [f"{key} {value}" for key, value in keys.items() if value is not None]
    body = "\n".join([*lines, f"{extra}{source}"])
    return "<ITEM\n  " + body.replace("\n", "\n  ") + "\n>"


def project(*items: str, is_bus: str = "2 -1", newline: str = "\r\n", track: str = "") -> bytes:
    text = "\n".join(
        [
            '<REAPER_PROJECT 0.1 "7.08/linux-x86_64" 1699999999',
            "  <NOTES 0 2\n    |<TRACK \u2028 is > no block\n  >",
            '  TITLE "a\u0085b"',
            "  <TRACK {00000000-0000-0000-0000-000000000000}\n    NAME Bus\n    ISBUS 1 1\n  >",
            "  <TRACK {11111111-1111-1111-1111-111111111111}",
            "    NAME \"Mix 'x' \u00e9\"\n    PEAKCOL 16576",
            "    VOLPAN 0.5 -0.25 -1 -1 1",
            f"    ISBUS {is_bus}",
            track + "    <FXCHAIN\n      <VST x\n        ZGVmYXVsdA==\n      >\n    >",
            *("    " + one.replace("\n", "\n    ") for one in items),
            "  >",
            "  <TRACK {44444444-4444-4444-4444-444444444444}\n    NAME After   \n    ISBUS 0 0\n  >",
            ">",
            "",
        ]
    )
    # Latin-1 in the middle of UTF-8, as old projects have.
    return text.replace("\n", newline).encode().replace(b"After", b"Aft\xe9r")


@pytest.fixture
def result(published: Publish) -> Result:
    return load_result(published(4_000, 48_000))


@pytest.fixture
def song(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "song" / "song.rpp"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    return write


def difference(before: bytes, after: bytes) -> tuple[list[bytes], list[bytes]]:
    """The lines that went, and those that came, as they stand."""
    gone, come = [], []
    old = [line.decode("latin-1") for line in before.splitlines(keepends=True)]
    new = [line.decode("latin-1") for line in after.splitlines(keepends=True)]
    for line in difflib.ndiff(old, new):
        if line.startswith("- "):
            gone.append(line[2:].encode("latin-1"))
        elif line.startswith("+ "):
            come.append(line[2:].encode("latin-1"))
    return gone, come


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_copy_differs_in_the_mute_the_folder_lines_and_the_new_tracks(
    song: Callable[[bytes], Path], result: Result, newline: str
) -> None:
    before = project(item(), newline=newline)
    path = song(before)
    copy = write_copy(path, result)
    assert copy == path.with_name("song (stemfix).rpp")
    assert path.read_bytes() == before
    after = copy.read_bytes()
    end = newline.encode()
    start, stop = after.index(b"  <TRACK", after.index(b"{1111")), after.index(b"  <TRACK {4444")
    rest = after[:start] + after[stop:]
    gone, come = difference(before, rest)
    assert gone == [b"    ISBUS 2 -1" + end, b"      MUTE 0 0" + end]
    assert come == [b"    ISBUS 0 0" + end, b"      MUTE 1 0" + end]
    new = after[start:stop]
    lines = [line.strip() for line in split_lines(new)]
    assert all(line.endswith(end) for line in split_lines(new))
    assert [words(line)[1] for line in lines if line.startswith(b"NAME") and b"mix" not in line] == [
        "Mix 'x' é (stemfix)",
        "drums",
        "bass",
        "other",
        "vocals",
    ]
    buses = [line for line in lines if line.startswith(b"ISBUS")]
    assert buses == [b"ISBUS 1 1", b"ISBUS 0 0", b"ISBUS 0 0", b"ISBUS 0 0", b"ISBUS 2 -2"]
    assert lines.count(b"VOLPAN 0.5 -0.25 -1 -1 1") == 1
    assert lines.count(b"PEAKCOL 16576") == 5
    guids = re.findall(rb"\{[-0-9A-F]{36}\}", new)
    assert len(set(guids)) == 5 + 2 * 4
    assert b"IID" not in new


def test_an_item_keeps_all_that_it_has(song: Callable[[bytes], Path], result: Result) -> None:
    envelope = "<VOLENV\n  EGUID {55555555-5555-5555-5555-555555555555}\n  PT 0 1 0\n  PT 1 0.5 0\n>\n"
    after = write_copy(song(project(item(extra=envelope), newline="\n")), result).read_bytes()
    (_, *copies) = re.findall(rb"    <ITEM\n.*?\n    >\n", after, re.DOTALL)
    assert len(copies) == 4
    gone, come = difference(
        ("    " + item(extra=envelope).replace("\n", "\n    ") + "\n").encode(), copies[0]
    )
    keys = [b"SEL", b"IGUID", b"IID", b"SOFFS", b"GUID", b"EGUID", b"FILE"]
    assert [line.split()[0] for line in gone] == keys
    assert [line.split()[0] for line in come] == [key for key in keys if key != b"IID"]
    (offset,) = [line.split()[1] for line in come if b"SOFFS" in line]
    assert float(offset) == 1.7512345 - 0.5


def sounds(chunk: bytes, folder: Path, rate: int = RATE) -> NDArray[np.float64]:
    """What an item without fades and at rate 1 plays: an independent reading of its chunk."""
    keys: dict[str, list[str]] = {}
    for line in split_lines(chunk):
        if found := words(line):
            keys.setdefault(found[0], found[1:])
    audio, _ = soundfile.read(folder / keys["FILE"][0])
    if "STARTPOS" in keys or "MODE" in keys:
        if not int(keys["MODE"][0]) & 1:
            start = round(float(keys["STARTPOS"][0]) * rate)
            audio = audio[start : start + round(float(keys["LENGTH"][0]) * rate)]
        if int(keys["MODE"][0]) & 2:
            audio = audio[::-1]
    # The section's LENGTH comes after the item's.
    first = round(float(keys["SOFFS"][0]) * rate)
    places = np.arange(first, first + round(float(keys["ITEMLENGTH"][0]) * rate))
    if keys["LOOP"][0] == "1":
        places %= len(audio)
    heard = np.zeros(len(places))
    inside = (places >= 0) & (places < len(audio))
    heard[inside] = audio[places[inside]]
    return heard


CASES = {
    "an offset": (item(SOFFS="1.75"), (4_000, 48_000)),
    "before the file": (item(SOFFS="-0.5"), (0, 20_000)),
    "beyond the file": (item(SOFFS="5", LENGTH="3"), (30_000, 48_000)),
    "looped, without a turn": (item(SOFFS="1", LOOP="1"), (4_000, 40_000)),
    "looped, with turns": (item(SOFFS="5", LENGTH="9", LOOP="1"), (0, 48_000)),
    "a section": (item(SECTION.format(length=3, mode=0, start=1), SOFFS="0.5"), (4_000, 40_000)),
    "a looped section": (
        item(SECTION.format(length=1.5, mode=0, start=1), SOFFS="0.5", LENGTH="4", LOOP="1"),
        (8_000, 20_000),
    ),
    "reversed": (item(SECTION.format(length=0, mode=3, start=0), SOFFS="0.5"), (0, 48_000)),
    "a reversed section": (item(SECTION.format(length=3, mode=2, start=1), SOFFS="0.25"), (4_000, 40_000)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_stems_sum_to_what_the_original_played(
    song: Callable[[bytes], Path], published: Publish, name: str
) -> None:
    chunk, (start, stop) = CASES[name]
    path = song(project(chunk, newline="\n"))
    result = load_result(published(start, stop))
    after = write_copy(path, result).read_bytes()
    items = [
        block.replace(b"LENGTH", b"ITEMLENGTH", 1)
        for block in re.findall(rb"    <ITEM\n.*?\n    >\n", after, re.DOTALL)
    ]
    original, *stems = (sounds(block, path.parent) for block in items)
    assert len(stems) == 4
    assert np.abs(original).max() > 0.4
    # The stems of the stand-in are a tenth to four tenths of the mix.
    assert np.abs(original - sum(stems)).max() < 1e-7


REFUSED = {
    "several takes": (
        item(extra="TAKE SEL\nNAME b\n<SOURCE WAVE\nFILE b.wav\n>\n"),
        "No item of the project",
    ),
    "take effects": (item(extra="<TAKEFX\n  BYPASS 0 0 0\n>\n"), "No item"),
    "stretch markers": (item(extra="SM 0 0 + 1 1.1\n"), "No item"),
    "locked": (item(extra="LOCK 1\n"), "No item"),
    "MIDI": (item("<SOURCE MIDI\n  HASDATA 1 960 QN\n>"), "No item"),
    "offline": (item("<SOURCE _OFFLINE_WAVE\n  FILE mix.wav\n>"), "No item"),
    "another file": (item('<SOURCE WAVE\n  FILE "other.wav"\n>'), "No item of the project plays"),
    "no source": (item(""), "No item"),
    "a lossy file": (item('<SOURCE MP3\n  FILE "mix.mp3"\n>'), "No item"),
    "a section of a section": (
        item(SECTION.replace(WAVE, SECTION).format(length=3, mode=0, start=0)),
        "No item",
    ),
    "a section beside a file": (
        item("<SOURCE SECTION\n  LENGTH 3\n  MODE 0\n  STARTPOS 0\n>\n" + WAVE),
        "No item",
    ),
    "a section of something unknown": (
        item('<SOURCE SECTION\n  LENGTH 3\n  MODE 0\n  <OTHER\n    FILE "mix.wav"\n  >\n>'),
        "No item",
    ),
    "beyond the stems": (item(SOFFS="0.4"), "plays what the job worked on"),
    "a loop beyond the stems": (item(SOFFS="5", LENGTH="9", LOOP="1"), "plays what the job worked on"),
    "reversed beyond the stems": (item(SECTION.format(length=0, mode=3, start=0)), "plays what the job"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_exact_is_refused(song: Callable[[bytes], Path], result: Result, name: str) -> None:
    chunk, said = REFUSED[name]
    path = song(project(chunk))
    with pytest.raises(StemfixError, match=said):
        write_copy(path, result)
    assert [one.name for one in path.parent.iterdir() if one.suffix == ".rpp"] == ["song.rpp"]


@pytest.mark.parametrize(
    ("chunk", "said"),
    [
        (item('<SOURCE MP3\n  FILE "mix.mp3"\n>'), "two programs may begin at different samples"),
        (item('<SOURCE VORBIS\n  FILE "mix.ogg"\n>'), "two programs may begin at different samples"),
        (item(""), "no source, or several"),
        (item(SECTION.replace(WAVE, SECTION).format(length=3, mode=0, start=0)), "no source, or several"),
        (item("<SOURCE SECTION\n  LENGTH 3\n  MODE 0\n  STARTPOS 0\n>"), "section of something unknown"),
        (item(extra="SM 0 0 + 1 1.1\n"), "stretch markers"),
    ],
)
def test_why_an_item_is_refused_is_said(chunk: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Item.parse(split_lines(chunk.encode()))


def test_a_fast_item_plays_more_of_its_file(song: Callable[[bytes], Path], published: Publish) -> None:
    result = load_result(published(4_000, 40_000))
    with pytest.raises(OptionError, match="plays what the job worked on"):
        write_copy(song(project(item(SOFFS="3", LENGTH="1.5", PLAYRATE="2 1 0 -1 0 0.0025"))), result)
    write_copy(song(project(item(SOFFS="3", LENGTH="1.5", PLAYRATE="1.3 1 0 -1 0 0.0025"))), result)


def test_what_is_inside_of_unknown_blocks_stays(song: Callable[[bytes], Path], result: Result) -> None:
    block = "<UNKNOWN\n  GROUP 4\n  MUTE 7 7\n  SOFFS 5\n>\n"
    after = write_copy(song(project(item(extra=block))), result).read_bytes()
    for line in (b"GROUP 4", b"MUTE 7 7", b"SOFFS 5\r"):
        assert after.count(line) == 5


def test_items_on_two_tracks_get_a_folder_each(song: Callable[[bytes], Path], result: Result) -> None:
    data = project(item(), newline="\n")
    start, stop = data.index(b"  <TRACK {1111"), data.index(b"  <TRACK {4444")
    first = data[start:stop].replace(b"ISBUS 2 -1", b"ISBUS 0 0").replace(b"Mix", b"One")
    path = song(data[:start] + first + data[start:])
    after = write_copy(path, result, all_items=True).read_bytes()
    names = [words(line)[1] for line in re.findall(rb"^    NAME .*$", after, re.MULTILINE)]
    stems = ["drums", "bass", "other", "vocals"]
    one, mix = "One 'x' é", "Mix 'x' é"
    assert names[1:-1] == [one, f"{one} (stemfix)", *stems, mix, f"{mix} (stemfix)", *stems]
    depths = [int(line.split()[2]) for line in re.findall(rb"ISBUS .*", after)]
    assert sum(depths) == 0
    assert after.count(b"MUTE 1 0") == 2


def test_items_in_frozen_tracks_are_left_alone(song: Callable[[bytes], Path], result: Result) -> None:
    frozen = "    <FREEZE\n" + item() + "\n    >\n"
    with pytest.raises(OptionError, match="No item"):
        write_copy(song(project(track=frozen)), result)
    after = write_copy(song(project(item(), track=frozen)), result).read_bytes()
    assert after.count(b"MUTE 1 0") == 1


def test_several_items_need_a_choice_and_share_a_folder_per_track(
    song: Callable[[bytes], Path], result: Result
) -> None:
    path = song(project(item(), item(POSITION="12", SOFFS="1", MUTE="1 0")))
    with pytest.raises(OptionError, match=r"2 items play .*1: 'Mix 'x' é' at 7\.3 s; 2: .* at 12 s"):
        write_copy(path, result)
    copy = write_copy(path, result, item=2)
    assert copy.read_bytes().count(b"<ITEM") == 2 + 4
    copy.unlink()
    after = write_copy(path, result, all_items=True).read_bytes()
    assert after.count(b"<ITEM") == 2 + 2 * 4
    assert after.count(b"(stemfix)") == 1
    assert after.count(b"MUTE 1 0") == 2
    with pytest.raises(OptionError, match="There is no item 3"):
        write_copy(path, result, item=3)


@pytest.mark.parametrize(
    ("is_bus", "original", "last", "has_fader"),
    [("0 0", "0 0", "2 -1", 1), ("1 1", "1 1", "2 -1", 0), ("2 -3", "0 0", "2 -4", 1)],
)
def test_folders_close_where_they_did(
    song: Callable[[bytes], Path], result: Result, is_bus: str, original: str, last: str, has_fader: int
) -> None:
    after = write_copy(song(project(item(), is_bus=is_bus)), result).read_bytes()
    buses = re.findall(rb"ISBUS (\S+ \S+)\r\n", after)
    assert buses == [b"1 1", original.encode(), b"1 1", b"0 0", b"0 0", b"0 0", last.encode(), b"0 0"]
    assert after.count(b"VOLPAN 0.5") == 1 + has_fader


def test_paths_below_the_project_are_relative(
    song: Callable[[bytes], Path], published: Publish, tmp_path: Path
) -> None:
    song(b"")
    folder = published(0, 48_000)
    inside = tmp_path / "song" / "stems"
    folder.rename(inside)
    after = write_copy(song(project(item())), load_result(inside)).read_bytes()
    assert b'FILE "stems/drums.wav"' in after


def test_an_existing_copy_is_never_replaced(song: Callable[[bytes], Path], result: Result) -> None:
    path = song(project(item()))
    copy = write_copy(path, result)
    data = copy.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_copy(path, result)
    assert copy.read_bytes() == data
    assert sorted(one.name for one in path.parent.glob("*.rpp*")) == ["song (stemfix).rpp", "song.rpp"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not a project"),
        (b"RIFF", "is not a project"),
        (b"<REAPER_PROJECT 0.1\n", "block REAPER_PROJECT in line 1 has no end"),
        (b"<REAPER_PROJECT 0.1\n>\n>\n", "Line 3 ends a block that never began"),
        (b"<REAPER_PROJECT 0.1\n  <TRACK\n>\n", "block REAPER_PROJECT in line 1 has no end"),
        (b"<REAPER_PROJECT 0.1\n  <TRACK\n    <ITEM\n  >\n>\n", "REAPER_PROJECT in line 1 has no end"),
        (project(item()).replace(b"      PLAYRATE", b"      >\r\n      PLAYRATE"), "that never began"),
        (project(item()).replace(b"      PLAYRATE", b"      <LOST\r\n      PLAYRATE"), "has no end"),
    ],
)
def test_damaged_projects_are_refused(
    song: Callable[[bytes], Path], result: Result, data: bytes, said: str
) -> None:
    path = song(data)
    with pytest.raises(InputError, match=rf"song\.rpp.*{said}"):
        write_copy(path, result)
    assert path.read_bytes() == data
    assert list(path.parent.glob("*stemfix*")) == []


def test_blocks_nest_as_deep_as_they_like() -> None:
    lines = [b"<A%d\n" % depth for depth in range(5_000)] + [b">\n"] * 5_000
    blocks = find_blocks(lines)
    assert [block.parent for block in blocks] == [None, *range(4_999)]
    assert (blocks[7].start, blocks[7].stop) == (7, 9_993)


def test_nothing_at_all_is_refused(tmp_path: Path, result: Result) -> None:
    with pytest.raises(InputError, match="can't be read"):
        Project(tmp_path / "none.rpp")


def test_odd_bytes_survive_a_round_through_the_parser() -> None:
    data = project(item())
    lines = split_lines(data)
    assert b"".join(lines) == data
    assert [block.name for block in find_blocks(lines)][:3] == ["REAPER_PROJECT", "NOTES", "TRACK"]


@pytest.mark.parametrize("text", ["a b", "it's", 'say "x"', "both ' and \"", "", "`", "all ' \" `"])
def test_words_are_quoted_as_reaper_reads_them(text: str) -> None:
    expected = text.replace("`", "'") if text == "all ' \" `" else text
    assert words(b"NAME " + quoted(text)) == ["NAME", expected]


@pytest.mark.parametrize("value", [0.0, 1.25, 1 / 3, 1e-9, 123456.789, -0.5, 5e15])
def test_numbers_read_back_the_same(value: float) -> None:
    text = number(value)
    assert b"e" not in text
    assert float(text) == pytest.approx(value, rel=1e-15, abs=1e-20)


def test_the_command(song: Callable[[bytes], Path], result: Result, stemfix: Callable[..., Any]) -> None:
    path = song(project(item()))
    done = stemfix("import", result.folder, "--rpp", path)
    assert done.status == 0, done.err
    assert "song (stemfix).rpp" in done.out
    done = stemfix("import", "20990101-nothing", "--rpp", path)
    assert done.status == 2
    assert done.err.startswith("stemfix: ")
