"""Preset: what a preset file holds once it is checked."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: The one stem of a recording that is not separated: the recording itself.
SONG = "song"
#: The stems that a preset can have a chain for.
STEMS = ("vocals", "drums", "bass", "other", "guitar", "piano", SONG)

Chain = tuple[BaseModel, ...]


class MixSettings(BaseModel):
    """What happens to the sum of the stems; by default nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Give the mix the integrated loudness of the source.
    keep_loudness: bool = False
    #: Give the mix this integrated loudness in LUFS instead.
    target_lufs: float | None = Field(None, ge=-40.0, le=-5.0)
    #: Limit the mix to this true peak in dBTP; None for no limiter.
    true_peak_db: float | None = Field(None, ge=-20.0, le=0.0)
    #: Effects on the sum, before loudness and limiter.
    chain: Chain = ()

    @model_validator(mode="after")
    def _one_loudness(self) -> MixSettings:
        if self.keep_loudness and self.target_lufs is not None:
            raise ValueError("'keep_loudness' and 'target_lufs' are set, and a mix has one loudness only")
        return self


class Preset(BaseModel):
    """Chains by stem, in order. A stem without one stays as it is.

    The effects are models that carry their name as the class variable `effect`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str = ""
    #: The quality of separation where none is asked for.
    quality: str = "standard"
    #: Effects on the whole recording, before it is separated.
    repair: Chain = ()
    chains: dict[str, Chain] = {}
    mix: MixSettings = MixSettings()

    def settings(self) -> dict[str, Any]:
        """All settings with their defaults filled in, as plain JSON values; without name and description."""
        chains = {stem: _plain(chain) for stem, chain in sorted(self.chains.items()) if chain}
        mix = {**self.mix.model_dump(mode="json", exclude={"chain"}), "chain": _plain(self.mix.chain)}
        return {"quality": self.quality, "repair": _plain(self.repair), "chains": chains, "mix": mix}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the settings: the same digest means the same sound."""
        canonical = json.dumps(self.settings(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _plain(chain: Chain) -> list[dict[str, Any]]:
    return [{"effect": vars(type(step))["effect"], **step.model_dump(mode="json")} for step in chain]
