"""A warm provider loads a model once and gives it back on request."""

from __future__ import annotations

from typing import Any

from engine.models import ModelHandle, WarmModels
from engine.separation.separator import SeparationOptions


def test_a_model_is_loaded_once_until_another_is_wanted(fake_separator: Any) -> None:
    loads: list[str] = []

    def provider(name: str, options: SeparationOptions, device: str) -> ModelHandle:
        def load(note: Any) -> Any:
            loads.append(name)
            return type(fake_separator)(options, name=name, digest=name)

        return ModelHandle(name, fake_separator.sources, name, load)

    models, options = WarmModels(provider), SeparationOptions()
    first = models("a", options, "cpu").load(print)
    assert models("a", options, "cpu").load(print) is first
    assert (loads, models.loaded) == (["a"], "a")
    models("b", options, "cpu").load(print)
    models("b", SeparationOptions(shifts=2), "cpu").load(print)
    assert loads == ["a", "b", "b"]
    models.release()
    assert models.loaded is None
    models("b", SeparationOptions(shifts=2), "cpu").load(print)
    assert loads == ["a", "b", "b", "b"]


def test_looking_a_model_up_does_not_load_it(fake_separator: Any) -> None:
    def provider(name: str, options: SeparationOptions, device: str) -> ModelHandle:
        def load(note: Any) -> Any:
            raise AssertionError

        return ModelHandle(name, fake_separator.sources, "digest", load)

    assert WarmModels(provider)("a", SeparationOptions(), "cpu").digest == "digest"


def test_what_a_warm_model_says_is_told_to_the_job_that_uses_it(fake_separator: Any) -> None:
    told: list[Any] = []

    def provider(name: str, options: SeparationOptions, device: str) -> ModelHandle:
        def load(note: Any) -> Any:
            told.append(note)
            return fake_separator

        return ModelHandle(name, fake_separator.sources, "digest", load)

    models, first, second = WarmModels(provider), [], []
    models("a", SeparationOptions(), "cpu").load(first.append)
    told[0]("loaded")
    models("a", SeparationOptions(), "cpu").load(second.append)
    told[0]("stepped back")
    assert (first, second) == (["loaded"], ["stepped back"])
