"""Ratings: the answers that blind tests export, checked, and their totals per preset."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from engine.errors import InputError

_MAX_BYTES = 10 << 20


class RatedVersion(BaseModel):
    """A version as the page named it; the original has no preset."""

    id: str
    name: str
    preset: str | None = None
    job_key: str | None = None

    @property
    def label(self) -> str:
        """What its answers are counted under."""
        return self.preset or "original"


class AbxTrial(BaseModel):
    """What X was, and what the listener said."""

    x: Literal["a", "b"]
    answer: Literal["a", "b"]


class AbxTest(BaseModel):
    """A series of trials between two versions."""

    a: str
    b: str
    trials: list[AbxTrial] = Field(max_length=10_000)

    @property
    def correct(self) -> int:
        """Right answers; counted here, whatever the file says."""
        return sum(trial.x == trial.answer for trial in self.trials)


class PreferenceRound(BaseModel):
    """The versions in the order in which they were labelled, and the one that was liked best."""

    order: list[str]
    chosen: str


class Rating(BaseModel):
    """Marks from 1 to 10."""

    version: str
    clarity: int = Field(ge=1, le=10)
    naturalness: int = Field(ge=1, le=10)
    professional: int = Field(ge=1, le=10)


class PreferenceTest(BaseModel):
    """A series of rounds among the same versions."""

    versions: list[str]
    rounds: list[PreferenceRound] = Field(max_length=10_000)
    ratings: list[Rating] = []


class RatingsFile(BaseModel):
    """One file that the comparison page exported."""

    format: Literal["stemfix-ratings"]
    version: str
    created: str = ""
    listener: str = ""
    title: str = ""
    song: str = ""
    versions: list[RatedVersion]
    abx: list[AbxTest] = []
    preference: list[PreferenceTest] = []

    def label(self, version: str) -> str:
        """The preset behind a version's id."""
        return next((one.label for one in self.versions if one.id == version), "unknown")


class PresetTotals(BaseModel):
    """Everything that was answered about one preset."""

    preset: str
    #: Rounds in which it was among the choices, how often it was chosen, and how often chance would have.
    rounds: int = 0
    chosen: int = 0
    expected: float = 0.0
    #: Probability that chance alone chooses it at least so often.
    p_value: float | None = None
    ratings: int = 0
    clarity: float | None = None
    naturalness: float | None = None
    professional: float | None = None


class AbxTotals(BaseModel):
    """All ABX trials between two presets."""

    presets: tuple[str, str]
    correct: int
    total: int
    #: Probability of at least so many right answers by guessing.
    p_value: float


class RatingsTotals(BaseModel):
    """The answers of many files."""

    files: int
    songs: int
    listeners: int
    presets: list[PresetTotals]
    abx: list[AbxTotals]


def read_ratings(path: Path) -> RatingsFile:
    """The file at `path`. Raises InputError where it is none of the page's."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is too large for a file of ratings.", "Name what the page saved.")
        return RatingsFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"{path} holds no ratings of a comparison page ({where}: {first['msg']}).",
            "Name a file that the page saved.",
        ) from None
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}.", "Check its name.") from error


def find_ratings(paths: Iterable[Path]) -> list[Path]:
    """The files themselves; of a folder, each file in it and below that is a page's ratings."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [file for file in sorted(path.rglob("*.json")) if _looks_like_ratings(file)]
        if not inside:
            raise InputError(
                f"There are no ratings in {path}.", "Save some from a comparison page's blind test."
            )
        found += inside
    return list(dict.fromkeys(file.resolve() for file in found))


def total(files: Sequence[RatingsFile]) -> RatingsTotals:
    """Add up: preferences and ratings per preset, ABX trials per pair of presets; p-values are exact."""
    presets: dict[str, PresetTotals] = {}
    marks: dict[str, list[Rating]] = defaultdict(list)
    chances: dict[str, list[float]] = defaultdict(list)
    pairs: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for file in files:
        for test in file.preference:
            for one in test.rounds:
                for version in one.order:
                    label = file.label(version)
                    totals = presets.setdefault(label, PresetTotals(preset=label))
                    totals.rounds += 1
                    totals.chosen += version == one.chosen
                    chances[label].append(1 / len(one.order))
            for rating in test.ratings:
                label = file.label(rating.version)
                presets.setdefault(label, PresetTotals(preset=label))
                marks[label].append(rating)
        for abx in file.abx:
            first, second = sorted((file.label(abx.a), file.label(abx.b)))
            pairs[first, second][0] += abx.correct
            pairs[first, second][1] += len(abx.trials)
    for label, totals in presets.items():
        _finish(totals, chances[label], marks[label])
    songs = {file.song or file.title for file in files}
    listeners = {file.listener for file in files if file.listener}
    return RatingsTotals(
        files=len(files),
        songs=len(songs),
        listeners=max(len(listeners), 1 if files else 0),
        presets=sorted(presets.values(), key=lambda one: (-one.chosen / max(one.expected, 1e-9), one.preset)),
        abx=[
            AbxTotals(presets=pair, correct=right, total=count, p_value=at_least(right, [0.5] * count))
            for pair, (right, count) in sorted(pairs.items())
            if count
        ],
    )


def at_least(successes: int, chances: Sequence[float]) -> float:
    """P(X >= successes) for a sum of independent yes-or-no events with these probabilities.

    With equal chances that is the tail of the binomial distribution; with unequal ones (rounds among two
    and rounds among four versions) of the Poisson binomial, here by its exact recursion.

    >>> at_least(2, [0.5, 0.5])
    0.25
    """
    # counts[k] is the probability of k successes so far; the last entry gathers "successes or more".
    counts = [1.0] + [0.0] * successes
    for chance in chances:
        for k in range(successes, 0, -1):
            stay = counts[k] if k == successes else counts[k] * (1 - chance)
            counts[k] = stay + counts[k - 1] * chance
        if successes:
            counts[0] *= 1 - chance
    return min(1.0, counts[successes])


def _finish(totals: PresetTotals, chances: Sequence[float], marks: Sequence[Rating]) -> None:
    totals.expected = sum(chances)
    totals.p_value = at_least(totals.chosen, chances) if chances else None
    totals.ratings = len(marks)
    if marks:
        totals.clarity = sum(mark.clarity for mark in marks) / len(marks)
        totals.naturalness = sum(mark.naturalness for mark in marks) / len(marks)
        totals.professional = sum(mark.professional for mark in marks) / len(marks)


def _looks_like_ratings(path: Path) -> bool:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return False
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("format") == "stemfix-ratings"
