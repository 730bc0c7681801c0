"""The `iXML` chunk of production sound files (iXML 3.01): read it, and bring it up to date for a new file."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, ParseError

#: Characters that XML 1.0 can't hold.
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse(body: bytes) -> str | None:
    """The chunk's XML as text without declaration, or None if it is no iXML document."""
    body = body.strip(b"\0 \t\r\n")
    # iXML has no document type; one would be there only to define entities, which can be made to explode.
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        return None
    try:
        root = ElementTree.fromstring(body)
    except (ParseError, ValueError, LookupError):
        return None
    return _text(root) if root.tag == "BWFXML" else None


def build(text: str) -> bytes:
    """The body of an `iXML` chunk."""
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode("utf-8", "replace")


def placed(text: str | None, *, time_reference: int, sample_rate: int, track_name: str) -> str:
    """iXML for a new file that starts at frame `time_reference`, made from the source's, or from nothing.

    What is not about the file's place, rate or track name stays as it was.
    """
    root = _root(text)
    speed = _child(root, "SPEED")
    high, low = divmod(time_reference, 1 << 32)
    for tag, value in {
        "FILE_SAMPLE_RATE": sample_rate,
        "TIMESTAMP_SAMPLE_RATE": sample_rate,
        "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI": high,
        "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO": low,
    }.items():
        _child(speed, tag).text = str(value)
    bext = root.find("BEXT")
    if bext is not None:  # iXML may repeat the bext chunk; the two must not disagree
        _child(bext, "BWF_TIME_REFERENCE_HIGH").text = str(high)
        _child(bext, "BWF_TIME_REFERENCE_LOW").text = str(low)
    for unique in root.findall("FILE_SET"):
        for identifier in unique.findall("FILE_UID"):  # names the source file, which the new one is not
            unique.remove(identifier)
    for track in _tracks(root) or [_new_track(root, 1)]:
        _child(track, "NAME").text = _FORBIDDEN.sub("", track_name)
    return _text(root)


def formatted(text: str, *, channels: int, bits: int) -> str:
    """iXML with the bit depth of a file, and a track entry for each of its channels."""
    root = _root(text)
    _child(_child(root, "SPEED"), "AUDIO_BIT_DEPTH").text = str(bits)
    tracks = _tracks(root)
    name = tracks[0].findtext("NAME") if tracks else None
    for index in range(len(tracks) + 1, channels + 1):
        _child(_new_track(root, index), "NAME").text = name
    _child(_child(root, "TRACK_LIST"), "TRACK_COUNT").text = str(max(len(tracks), channels))
    return _text(root)


def _root(text: str | None) -> Element:
    if text is not None:
        return ElementTree.fromstring(text)
    root = Element("BWFXML")
    _child(root, "IXML_VERSION").text = "3.01"
    return root


def _text(root: Element) -> str:
    return ElementTree.tostring(root, encoding="unicode")


def _child(parent: Element, tag: str) -> Element:
    found = parent.find(tag)
    return ElementTree.SubElement(parent, tag) if found is None else found


def _tracks(root: Element) -> list[Element]:
    return root.findall("TRACK_LIST/TRACK")


def _new_track(root: Element, index: int) -> Element:
    track_list = _child(root, "TRACK_LIST")
    _child(track_list, "TRACK_COUNT").text = str(index)
    track = ElementTree.SubElement(track_list, "TRACK")
    _child(track, "CHANNEL_INDEX").text = str(index)
    _child(track, "INTERLEAVE_INDEX").text = str(index)
    return track
