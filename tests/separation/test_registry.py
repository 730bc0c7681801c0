from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from engine import paths
from engine.errors import ModelError
from engine.separation.registry import MODELS, card

ALL = ["htdemucs", "htdemucs_ft", "htdemucs_6s", "hdemucs_mmi", "mdx", "mdx_extra", "mdx_q", "mdx_extra_q"]


def remote() -> Path:
    import demucs

    return Path(demucs.__file__).parent / "remote"


def test_registry_holds_every_published_model() -> None:
    assert list(MODELS) == ALL


@pytest.mark.parametrize("name", ALL)
def test_card_says_what_demucs_says(name: str) -> None:
    from demucs.hf import hf_repo_name

    bag = yaml.safe_load((remote() / f"{name}.yaml").read_text())
    files = (remote() / "files.txt").read_text().split()
    model = card(name)
    assert list(model.signatures) == bag["models"]
    assert (model.bag_weights and [list(row) for row in model.bag_weights]) == bag.get("weights")
    assert model.segment_s == bag.get("segment")
    assert model.hub_repo == f"adefossez/{hf_repo_name(name)}"
    assert model.needs_diffq == name.endswith("_q")
    for signature, prefix in model.members:
        assert f"{signature}-{prefix}.th" in files


@pytest.mark.parametrize("name", ALL)
def test_licence_is_stated_honestly(name: str) -> None:
    text = " ".join(card(name).licence.split())
    assert name in text
    assert "not covered by the MIT license" in text
    assert "only for scientific purposes" in text
    assert "Do not bundle" in text


def test_unknown_name_lists_the_models_and_the_nearest() -> None:
    with pytest.raises(ModelError) as caught:
        card("htdemucs-ft")
    assert "Did you mean `htdemucs_ft`?" in str(caught.value)
    assert all(name in str(caught.value) for name in ALL)
    with pytest.raises(ModelError, match="The models are"):
        card("zzzzzz")


def test_places_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("STEMFIX_MODEL_DIR", "STEMFIX_CACHE_DIR", "STEMFIX_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)
    assert paths.model_dir() == paths.data_dir() / "models"
    monkeypatch.setenv("STEMFIX_DATA_DIR", str(tmp_path / "data"))
    assert paths.model_dir() == tmp_path / "data" / "models"
    monkeypatch.setenv("STEMFIX_MODEL_DIR", str(tmp_path / "weights"))
    monkeypatch.setenv("STEMFIX_CACHE_DIR", str(tmp_path / "cache"))
    assert (paths.model_dir(), paths.cache_dir()) == (tmp_path / "weights", tmp_path / "cache")
    monkeypatch.setenv("STEMFIX_DATA_DIR", "")
    assert paths.data_dir() != Path()
    assert not any(tmp_path.iterdir())
