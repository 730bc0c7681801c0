"""No weights, no job: what is missing is pulled after a yes, or told with what to run; never swapped."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import engine.models
import stemfix.pulling as pulling
import stemfix.weights_gate as gate
from engine.errors import ModelError
from engine.separation import weights
from stemfix.weights_gate import command_with

MakeSong = Callable[..., Path]


class Store:
    """A stand-in for the installed models and for what a pull would do."""

    def __init__(self, fake: Any) -> None:
        self.installed: set[str] = set()
        self.reachable: set[str] = set()
        self.pulled: list[str] = []
        self.opened: list[str] = []
        self._fake = fake

    def find(self, name: str) -> object | None:
        gate.card(name)
        return object() if name in self.installed else None

    def open(self, name: str, options: Any, device: str) -> Any:
        if self.find(name) is None:
            raise ModelError(f"The weights of '{name}' are not installed.")
        self.opened.append(name)
        return engine.models.ModelHandle.of(type(self._fake)(options, name=name))

    def pull(self, name: str, **options: Any) -> object:
        self.pulled.append(name)
        if name not in self.reachable:
            raise ModelError(f"The weights of {name} can't be had.", "Check the connection.")
        self.installed.add(name)
        return object()


@pytest.fixture
def store(fake_separator: Any, monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store(fake_separator)
    monkeypatch.setattr(weights, "installed", made.find)
    monkeypatch.setattr(engine.models, "open_model", made.open)
    monkeypatch.setattr(weights, "pull", made.pull)
    return made


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """`answers(True, False)` makes this a terminal whose user answers so; returns the questions."""

    def give(*given: bool) -> list[str]:
        left, questions = list(given), []

        def confirm(question: str, **options: Any) -> bool:
            assert options == {"default": False, "err": True}
            questions.append(question)
            return left.pop(0)

        monkeypatch.setattr(gate, "interactive", lambda: True)
        monkeypatch.setattr(gate.click, "confirm", confirm)
        return questions

    return give


def results(song: Path) -> list[Path]:
    return list(song.parent.glob("*.stemfix"))


def test_without_a_terminal_the_command_to_run_is_told(stemfix, store: Store, make_song: MakeSong) -> None:
    song = make_song()
    outcome = stemfix("enhance", song)
    assert outcome.status == 2
    assert len(outcome.error_lines) == 1
    assert "stemfix models pull htdemucs" in outcome.err
    assert (store.pulled, results(song)) == ([], [])


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_yes_given_before_pulls_with_the_licence_shown(
    stemfix, store: Store, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    store.reachable.add("htdemucs")
    if how == "environment":
        monkeypatch.setenv("STEMFIX_YES", "1")
    song = make_song()
    outcome = stemfix("enhance", song, *(["--yes"] if how == "option" else []))
    assert outcome.status == 0, outcome.err
    assert store.pulled == ["htdemucs"]
    assert "Licence of the model htdemucs" in outcome.err
    assert "Licence" not in outcome.out


def test_on_a_terminal_a_pull_is_asked_for(
    stemfix, store: Store, make_song: MakeSong, answers: Callable[..., list[str]]
) -> None:
    store.reachable.add("htdemucs")
    questions = answers(True)
    outcome = stemfix("enhance", make_song())
    assert outcome.status == 0
    assert len(questions) == 1
    assert "(1 file, about 84 MB; licence: " in outcome.err


def test_a_no_leaves_everything_as_it_is(
    stemfix, store: Store, make_song: MakeSong, answers: Callable[..., list[str]]
) -> None:
    answers(False)
    song = make_song()
    outcome = stemfix("enhance", song)
    assert outcome.status == 2
    assert (store.pulled, results(song)) == ([], [])


def test_a_quality_that_cannot_be_had_is_told_with_the_exact_command(
    stemfix, store: Store, make_song: MakeSong
) -> None:
    store.installed.add("htdemucs")
    song = make_song("my song.wav")
    outcome = stemfix("enhance", song, "--quality", "production", "--yes")
    assert outcome.status == 2
    assert store.pulled == ["htdemucs_ft"]
    assert results(song) == []
    assert "can't be had" in outcome.err
    command = shlex.split(outcome.err.strip().splitlines()[-1].rpartition(": ")[2])
    assert command == ["stemfix", "enhance", str(song), "--yes", "--quality", "standard"]
    assert stemfix(*command[1:]).status == 0
    assert set(store.opened) == {"htdemucs"}


def test_on_a_terminal_the_nearest_quality_is_offered(
    stemfix, store: Store, make_song: MakeSong, answers: Callable[..., list[str]]
) -> None:
    store.installed.add("htdemucs")
    questions = answers(True, True)
    outcome = stemfix("enhance", make_song(), "--quality", "audiophile", "--overlap", "0.1", "--json")
    assert outcome.status == 0, outcome.err
    assert "standard" in questions[1]
    model = outcome.objects[0]["manifest"]["model"]
    assert model["name"] == "htdemucs"
    assert (model["options"]["overlap"], model["options"]["shifts"]) == (0.1, 1)


def test_the_offer_can_be_refused(
    stemfix, store: Store, make_song: MakeSong, answers: Callable[..., list[str]]
) -> None:
    store.installed.add("htdemucs")
    answers(False, False)
    song = make_song()
    assert stemfix("enhance", song, "--quality", "audiophile").status == 2
    assert (store.pulled, results(song)) == ([], [])


def test_a_model_without_a_quality_of_its_own_can_be_offered(
    stemfix, store: Store, make_song: MakeSong
) -> None:
    store.installed.add("mdx_extra")
    outcome = stemfix("enhance", make_song())
    assert outcome.status == 2
    assert "--model mdx_extra" in outcome.err


def test_the_offer_beats_a_variable_that_names_the_missing_model(
    stemfix, store: Store, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.installed.add("htdemucs")
    monkeypatch.setenv("DEMUCS_MODEL", "htdemucs_6s")
    outcome = stemfix("enhance", make_song())
    command = shlex.split(outcome.err.strip().splitlines()[-1].rpartition(": ")[2])
    assert stemfix(*command[1:]).status == 0


def test_an_unknown_model_gets_a_suggestion(stemfix, store: Store, make_song: MakeSong) -> None:
    outcome = stemfix("enhance", make_song(), "--model", "htdemux")
    assert outcome.status == 2
    assert "htdemucs" in outcome.err
    assert store.pulled == []


def test_a_bad_file_is_refused_before_anything_is_pulled(stemfix, store: Store, tmp_path: Path) -> None:
    store.reachable.add("htdemucs")
    (tmp_path / "song.wav").write_text("no song")
    outcome = stemfix("enhance", tmp_path / "song.wav", "--yes")
    assert outcome.status == 2
    assert "song.wav" in outcome.err
    assert store.pulled == []


def test_a_dry_run_pulls_nothing(stemfix, store: Store, make_song: MakeSong) -> None:
    store.reachable.add("htdemucs")
    assert stemfix("enhance", make_song(), "--dry-run", "--yes").status == 2
    assert store.pulled == []


def test_the_licence_is_shown_once(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.reachable.add("htdemucs")
    for _ in range(2):
        pulling.pull_weights("htdemucs")
    assert capsys.readouterr().err.count("Licence of the model htdemucs") == 1


def test_a_licence_that_could_not_be_shown_is_shown_the_next_time(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(text: str, error: bool) -> None:
        raise BrokenPipeError

    with monkeypatch.context() as patch, pytest.raises(BrokenPipeError):
        patch.setattr(pulling, "say", broken)
        pulling.pull_weights("htdemucs")
    assert store.pulled == []
    store.reachable.add("htdemucs")
    pulling.pull_weights("htdemucs")
    assert "Licence of the model htdemucs" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="quoting is another there")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["enhance", "a b.wav", "--quality", "draft"], "stemfix enhance 'a b.wav' --quality standard"),
        (["enhance", "--quality=draft", "a.wav"], "stemfix enhance a.wav --quality standard"),
        (["enhance", "--model", "mdx", "--", "-a.wav"], "stemfix enhance --quality standard -- -a.wav"),
        (["--debug", "enhance", "it's"], "stemfix --debug enhance 'it'\"'\"'s' --quality standard"),
    ],
)
def test_the_command_is_the_users_own_with_other_words(arguments: list[str], expected: str) -> None:
    assert command_with(arguments, ["--quality", "standard"]) == expected
