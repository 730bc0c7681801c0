"""What is in a REAPER: projects, tracks, items, takes and sources, with real snapshots for undo."""

from __future__ import annotations

import copy
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import soundfile

#: Defaults differ from the tests' items wherever that would be heard: nothing goes uncopied unnoticed.
ITEM = dict.fromkeys(
    (
        "B_MUTE",
        "B_ALLTAKESPLAY",
        "B_UISEL",
        "C_AUTOSTRETCH",
        "C_LOCK",
        "D_POSITION",
        "D_LENGTH",
        "D_SNAPOFFSET",
        "D_FADEINDIR",
        "D_FADEOUTDIR",
        "C_FADEINSHAPE",
        "C_FADEOUTSHAPE",
        "I_GROUPID",
        "I_CUSTOMCOLOR",
        "I_CURTAKE",
        "I_FIXEDLANE",
    ),
    0.0,
) | {
    "B_LOOPSRC": 1.0,
    "C_BEATATTACHMODE": -1.0,
    "D_VOL": 1.0,
    "D_FADEINLEN": 0.01,
    "D_FADEOUTLEN": 0.01,
    "D_FADEINLEN_AUTO": -1.0,
    "D_FADEOUTLEN_AUTO": -1.0,
}
TAKE = {
    "D_STARTOFFS": 0.0,
    "D_VOL": 1.0,
    "D_PAN": 0.0,
    "D_PANLAW": -1.0,
    "D_PLAYRATE": 1.0,
    "D_PITCH": 0.0,
    "B_PPITCH": 1.0,
    "I_CHANMODE": 0.0,
    "I_PITCHMODE": -1.0,
    "I_STRETCHFLAGS": 0.0,
    "F_STRETCHFADESIZE": 0.0025,
}
TRACK = dict.fromkeys(
    (
        "I_FOLDERDEPTH",
        "I_CUSTOMCOLOR",
        "B_MUTE",
        "I_SOLO",
        "D_PAN",
        "D_DUALPANL",
        "D_DUALPANR",
        "B_PHASE",
        "I_SELECTED",
    ),
    0.0,
) | {"D_VOL": 1.0, "D_WIDTH": 1.0, "I_PANMODE": -1.0, "D_PANLAW": -1.0}
_KINDS = {"WAV": "WAVE", "WAVEX": "WAVE", "RF64": "WAVE"}


def guid() -> str:
    return f"{{{str(uuid.uuid4()).upper()}}}"


@dataclass(eq=False, repr=False)
class Source:
    """A file, or a section of another source (offset and length in seconds)."""

    kind: str
    path: str
    rate: int
    channels: int
    length: float
    parent: Source | None = None
    offset: float = 0.0
    reversed: bool = False
    take: Take | None = None

    @classmethod
    def of_file(cls, path: str) -> Source:
        """Raises soundfile.SoundFileError."""
        info = soundfile.info(path)
        return cls(
            _KINDS.get(info.format, info.format),
            path,
            info.samplerate,
            info.channels,
            info.frames / info.samplerate,
        )

    def section(self, offset: float, length: float, reversed: bool = False) -> Source:
        return Source("SECTION", "", self.rate, self.channels, length, self, offset, reversed)

    def root(self) -> Source:
        return self.parent.root() if self.parent else self

    def state(self) -> Any:
        return [
            self.kind,
            self.path,
            self.offset,
            self.length,
            self.reversed,
            self.parent and self.parent.state(),
        ]


@dataclass(eq=False, repr=False)
class Take:
    item: Item
    source: Source | None = None
    name: str = ""
    info: dict[str, float] = field(default_factory=lambda: dict(TAKE))
    guid: str = field(default_factory=guid)
    #: (seconds of the item, seconds of the source), rising.
    stretch_markers: list[tuple[float, float]] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    envelopes: int = 0

    def own(self, source: Source | None) -> None:
        self.source = source
        while source:
            source.take, source = self, source.parent


@dataclass(eq=False, repr=False)
class Accessor:
    """A take's sound, as it was when the accessor was made or validated."""

    take: Take
    state: str = ""
    item: Item | None = None

    def __post_init__(self) -> None:
        self.validate()

    def current(self) -> str:
        """More than the sound depends on: REAPER may call a moved item changed."""
        take = self.take
        return json.dumps(
            [take.info, take.item.info, take.stretch_markers, take.source and take.source.state()]
        )

    def validate(self) -> bool:
        changed, self.state = self.state != self.current(), self.current()
        take = self.take
        frozen = Item(take.item.track, dict(take.item.info) | {"I_CURTAKE": 0.0})
        frozen.takes = [
            Take(frozen, take.source, info=dict(take.info), stretch_markers=list(take.stretch_markers))
        ]
        self.item = frozen
        return changed


@dataclass(eq=False, repr=False)
class Item:
    track: Track
    info: dict[str, float] = field(default_factory=lambda: dict(ITEM))
    takes: list[Take] = field(default_factory=list)
    guid: str = field(default_factory=guid)

    @property
    def take(self) -> Take | None:
        return self.takes[int(self.info["I_CURTAKE"])] if self.takes else None

    def chunk(self) -> str:
        """The item as it would stand in a project file, with the lines that matter here."""
        i = self.info
        lines = [
            "<ITEM",
            f"POSITION {i['D_POSITION']:.14g}",
            f"LENGTH {i['D_LENGTH']:.14g}",
            f"LOOP {i['B_LOOPSRC']:.0f}",
            f"IGUID {self.guid}",
        ]
        for take in self.takes:
            lines += [f'NAME "{take.name}"', f"SOFFS {take.info['D_STARTOFFS']:.14g}", f"GUID {take.guid}"]
            if take.source:
                lines += source_lines(take.source)
        return "\n".join([*lines, ">"]) + "\n"


@dataclass(eq=False, repr=False)
class Track:
    project: Project
    name: str = ""
    info: dict[str, float] = field(default_factory=lambda: dict(TRACK))
    items: list[Item] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    guid: str = field(default_factory=guid)

    def add_item(
        self,
        source: Source | None = None,
        name: str = "",
        *,
        take: dict[str, float] | None = None,
        **info: float,
    ) -> Item:
        item = Item(self, ITEM | info)
        self.items.append(item)
        if source:
            item.takes.append(Take(item, None, name, TAKE | (take or {})))
            item.takes[0].own(source)
        return item


@dataclass(eq=False, repr=False)
class Project:
    path: str
    folder: str
    rate: int = 48000
    tracks: list[Track] = field(default_factory=list)
    undo: list[tuple[str, list[Track]]] = field(default_factory=list)
    redo: list[tuple[str, list[Track]]] = field(default_factory=list)
    changes: int = 0
    block: int = 0
    at_block: tuple[int, list[Track]] | None = None
    time_selection: tuple[float, float] = (0.0, 0.0)
    play_state: int = 0

    def add_track(self, name: str = "", index: int | None = None, **info: float) -> Track:
        track = Track(self, name, TRACK | info)
        self.tracks.insert(len(self.tracks) if index is None else index, track)
        return track

    def snapshot(self) -> list[Track]:
        """A copy of all tracks: what undo brings back are other objects, as pointers in REAPER may be."""
        return copy.deepcopy(self.tracks, {id(self): self})

    def undo_last(self) -> str:
        label, tracks = self.undo.pop()
        self.redo.append((label, self.tracks))
        self.tracks = tracks
        return label

    def state(self) -> str:
        """Everything that a user could notice, as text."""
        return json.dumps(
            [
                [
                    t.name,
                    t.info,
                    t.effects,
                    t.guid,
                    [
                        [
                            i.info,
                            i.guid,
                            [
                                [k.name, k.info, k.guid, k.stretch_markers, k.source and k.source.state()]
                                for k in i.takes
                            ],
                        ]
                        for i in t.items
                    ],
                ]
                for t in self.tracks
            ],
            sort_keys=True,
            indent=0,
        )

    def tree(self) -> list[tuple[int, str]]:
        """(depth, name) of every track."""
        depth, found = 0, []
        for track in self.tracks:
            found.append((depth, track.name))
            depth += int(track.info["I_FOLDERDEPTH"])
        return found

    def items(self) -> list[Item]:
        return [item for track in self.tracks for item in track.items]

    def item(self, guid: str) -> Item:
        """The item with this GUID; KeyError where there is none."""
        return {item.guid: item for item in self.items()}[guid]

    def track(self, name: str) -> Track:
        return {track.name: track for track in self.tracks}[name]


def source_lines(source: Source) -> list[str]:
    if source.parent is None:
        return [f"<SOURCE {source.kind}", f'FILE "{source.path}"', ">"]
    return [
        "<SOURCE SECTION",
        f"LENGTH {source.length:.14g}",
        f"MODE {2 if source.reversed else 0}",
        f"STARTPOS {source.offset:.14g}",
        "OVERLAP 0.01",
        *source_lines(source.parent),
        ">",
    ]


def read_source(lines: list[str]) -> Source:
    """The source in the lines of a chunk, which are used up. Raises ValueError, SoundFileError."""
    kind = lines.pop(0).removeprefix("<SOURCE ")
    values: dict[str, str] = {}
    inner = None
    while (line := lines[0]) != ">":
        if line.startswith("<SOURCE "):
            inner = read_source(lines)
        else:
            word, _, value = lines.pop(0).partition(" ")
            values[word] = value
    lines.pop(0)
    if kind != "SECTION":
        return Source.of_file(values["FILE"].strip('"'))
    if inner is None:
        raise ValueError("a section of nothing")
    return inner.section(float(values["STARTPOS"]), float(values["LENGTH"]), int(values["MODE"]) & 2 != 0)
