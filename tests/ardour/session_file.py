"""What a saved Ardour session says: regions with their exact places, tracks, groups and connections."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

_SUPERCLOCKS = 282_240_000


@dataclass(frozen=True)
class Region:
    """A region on a track, in samples of the session."""

    track: str
    name: str
    id: str
    position: int
    start: int
    length: int
    muted: bool
    gain: float
    channels: int


@dataclass(frozen=True)
class SavedSession:
    """A saved session."""

    rate: int
    regions: list[Region]
    #: Of all tracks and busses, in mixer order.
    order: list[str]
    #: Group name to the names of its tracks.
    groups: dict[str, set[str]]
    colours: dict[str, int]
    #: Output ports that lead nowhere.
    unconnected: list[str]
    #: Names of the undo steps in the history, oldest first.
    undo_steps: list[str]
    #: Paths of sources that are not the session's own.
    foreign_sources: list[str]

    def on(self, track: str) -> list[Region]:
        """Regions on a track."""
        return [region for region in self.regions if region.track == track]


def read_session(path: Path) -> SavedSession:
    """Parse the session file at `path`. Fails where a time is not a whole number of samples."""
    root = ElementTree.parse(path).getroot()
    rate = int(root.get("sample-rate", "0"))

    def samples(text: str) -> int:
        assert text[0] == "a", f"{text} is no audio time"
        whole, rest = divmod(int(text[1:]) * rate, _SUPERCLOCKS)
        assert rest == 0, f"{text} lies between two samples"
        return whole

    names = {
        route.get("audio-playlist"): route.get("name", "")
        for route in root.iterfind("Routes/Route")
        if route.get("audio-playlist")
    }
    regions = []
    for playlist in root.iterfind("Playlists/Playlist"):
        for node in playlist.iterfind("Region"):
            length, _, position = node.get("length", "").partition("@")
            regions.append(
                Region(
                    track=names.get(playlist.get("id"), "?"),
                    name=node.get("name", ""),
                    id=node.get("id", ""),
                    position=samples(position),
                    start=samples(node.get("start", "").partition("@")[0]),
                    length=samples(length),
                    muted=node.get("muted") == "1",
                    gain=float(node.get("scale-amplitude", "1")),
                    channels=int(node.get("channels", "1")),
                )
            )
    routes = {}
    colours = {}
    unconnected = []
    by_id = {}
    for route in root.iterfind("Routes/Route"):
        name = route.get("name", "")
        by_id[route.get("id")] = name
        information = route.find("PresentationInfo")
        assert information is not None
        if "Hidden" not in information.get("flags", "") and "MonitorOut" not in information.get("flags", ""):
            routes[name] = int(information.get("order", "0"))
        colours[name] = int(information.get("color", "0"))
        for io in route.iterfind("IO[@direction='Output']"):
            unconnected += [
                port.get("name", "") for port in io.iterfind("Port") if port.find("Connection") is None
            ]
    groups = {}
    for group in root.iterfind("RouteGroups/RouteGroup"):
        members = (group.get("routes") or "").split()
        groups[group.get("name", "")] = {by_id[member] for member in members}
    history = path.with_suffix(".history")
    steps = (
        re.findall(r'<UndoTransaction[^>]* name="([^"]*)"', history.read_text()) if history.exists() else []
    )
    # Ardour looks for a source at its origin if that is absolute, else for its name in the session's folders.
    foreign = [
        source.get("name", "") for source in root.iterfind("Sources/Source") if "/" in source.get("name", "")
    ]
    return SavedSession(
        rate, regions, sorted(routes, key=routes.__getitem__), groups, colours, unconnected, steps, foreign
    )
