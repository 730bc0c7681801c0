"""A bag's members: whether they fit together, and which of them some stems need."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

from engine.errors import ModelError
from engine.separation.registry import ModelCard


def member_weights(card: ModelCard) -> list[list[float]]:
    """The share of each member (row) in each stem (column); a model without weights averages its members."""
    rows = card.bag_weights or [[1.0] * len(card.sources) for _ in card.members]
    return [list(row) for row in rows]


def members_for(card: ModelCard, stems: Sequence[str]) -> tuple[int, ...]:
    """The members without which `stems` can't be had, by their place in the bag."""
    columns = [card.sources.index(stem) for stem in stems]
    rows = enumerate(member_weights(card))
    return tuple(index for index, row in rows if any(row[column] for column in columns))


def part_digest(digest: str, stems: Sequence[str]) -> str:
    """What the model of this digest counts as where it gives `stems` alone: another model."""
    return hashlib.sha256(json.dumps([digest, *stems]).encode()).hexdigest()


def check_members(
    name: str, models: Sequence[Any], weights: Sequence[Sequence[float]], stems: Sequence[str] | None
) -> Any:
    """The first member, whose facts are those of all. Raises ModelError if the members don't fit together."""
    remedy = f"Run: stemfix models verify {name}"
    present = [model for model in models if model is not None]
    if not present:
        raise ModelError(f"The model {name} is empty.", remedy)
    first = present[0]
    for fact in ("sources", "samplerate", "audio_channels"):
        if any(getattr(model, fact) != getattr(first, fact) for model in present):
            raise ModelError(f"The members of the model {name} differ in their {fact}.", remedy)
    if len(weights) != len(models) or any(len(row) != len(first.sources) for row in weights):
        raise ModelError(f"The model {name} needs one weight per member and source.", remedy)
    wanted = range(len(first.sources)) if stems is None else [first.sources.index(stem) for stem in stems]
    rows = [row for model, row in zip(models, weights, strict=True) if model is not None]
    totals = [sum(row[source] for row in rows) for source in wanted]
    if any(not math.isfinite(total) or total == 0 for total in totals):
        raise ModelError(f"The weights of the model {name} leave a source without any member.", remedy)
    return first
