"""A bag's members: which of them some stems need, so that only what is asked for is computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

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
