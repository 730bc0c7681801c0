"""The models that stemfix knows: what each is for, which files it is made of, and under which licence."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from engine.errors import ModelError

_FOUR = ("drums", "bass", "other", "vocals")
_SPECIALISTS = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
_CHALLENGE = ((1.0, 1.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (1.0, 0.0, 1.0, 1.0), (1.0, 0.0, 1.0, 1.0))

#: The checkpoint of one hybrid transformer, and of one network of the generation before.
_TRANSFORMER_BYTES, _HYBRID_BYTES = 84_024_904, 167_000_000

LICENCE_SUMMARY = "code MIT; weights contested (their author: scientific purposes only)"

_LICENCE = """\
Licence of the model {name}

The code of demucs is under the MIT licence.
The weights are another matter, and it is not settled. Their author has written that they are "not covered
by the MIT license" and are given "only for scientific purposes". The model cards on the Hugging Face hub have
said MIT since July 2026, and that has been disputed since. The npm package that carries a converted htdemucs
says that its weights are available "for personal and research use only".
stemfix does not contain the weights, takes no side, and grants no right to them. Whether your use is allowed,
above all a commercial one, is for you to settle. Do not bundle these files with anything that you give away.
"""


@dataclass(frozen=True)
class ModelCard:
    """One model: a single network or a bag of several whose estimates are averaged with weights."""

    name: str
    description: str
    #: The stems in the order in which the networks give them.
    sources: tuple[str, ...]
    #: Signature of every member and the first 8 hex digits of the SHA-256 of its official `.th` file.
    members: tuple[tuple[str, str], ...]
    #: Share of each member (row) in each stem (column), before division by the column's sum; None: all alike.
    bag_weights: tuple[tuple[float, ...], ...] | None = None
    #: Seconds per segment that the bag asks for; None leaves the members' own.
    segment_s: float | None = None
    #: Repository on the Hugging Face hub.
    hub_repo: str = ""
    #: Size of all files together: exact for htdemucs, for the others computed from the number of parameters,
    #: which are stored as 16-bit floats; None for quantised ones, where that tells nothing.
    download_bytes: int | None = None
    #: True if the files are quantised and need the `diffq` package.
    needs_diffq: bool = False
    sample_rate: int = 44100
    channels: int = 2
    licence_summary: str = LICENCE_SUMMARY

    @property
    def signatures(self) -> tuple[str, ...]:
        """The members' signatures; each one's file is `<signature>.safetensors`."""
        return tuple(signature for signature, _ in self.members)

    @property
    def licence(self) -> str:
        """The whole licence statement, to be shown before the first download."""
        return _LICENCE.format(name=self.name)


#: Members, weights and segments as in demucs 4.1 (`demucs/remote`; tested against it).
MODELS: dict[str, ModelCard] = {
    card.name: card
    for card in (
        ModelCard(
            "htdemucs",
            "Hybrid transformer, the default: the best balance of quality and speed.",
            _FOUR,
            (("955717e8", "8726e21a"),),
            hub_repo="adefossez/HTDemucs",
            download_bytes=_TRANSFORMER_BYTES,
        ),
        ModelCard(
            "htdemucs_ft",
            "htdemucs fine-tuned for each stem: slightly better, four networks and so four times the work.",
            _FOUR,
            (
                ("f7e0c4bc", "ba3fe64a"),
                ("d12395a8", "e57c48e6"),
                ("92cfc3b6", "ef3bcb9c"),
                ("04573f0d", "f3cf25b2"),
            ),
            bag_weights=_SPECIALISTS,
            hub_repo="adefossez/HTDemucs-ft",
            download_bytes=4 * _TRANSFORMER_BYTES,
        ),
        ModelCard(
            "htdemucs_6s",
            "Six stems: adds guitar and piano. Experimental; the piano bleeds a lot.",
            (*_FOUR, "guitar", "piano"),
            (("5c90dfd2", "34c22ccb"),),
            hub_repo="adefossez/HTDemucs-6s",
            download_bytes=55_000_000,
        ),
        ModelCard(
            "hdemucs_mmi",
            "Hybrid Demucs v3, one network, retrained on MusDB and 800 more songs.",
            _FOUR,
            (("75fc33f5", "1941ce65"),),
            segment_s=44.0,
            hub_repo="adefossez/Demucs-hdemucs_mmi",
            download_bytes=_HYBRID_BYTES,
        ),
        ModelCard(
            "mdx",
            "Four Demucs v3 networks trained on MusDB alone (MDX challenge, track A).",
            _FOUR,
            (
                ("0d19c1c6", "0f06f20e"),
                ("7ecf8ec1", "70f50cc9"),
                ("c511e2ab", "fe698775"),
                ("7d865c68", "3d5dd56b"),
            ),
            bag_weights=_CHALLENGE,
            segment_s=44.0,
            hub_repo="adefossez/Demucs-mdx",
            download_bytes=4 * _HYBRID_BYTES,
        ),
        ModelCard(
            "mdx_extra",
            "Four Demucs v3 networks trained with extra songs (MDX challenge, track B).",
            _FOUR,
            (
                ("e51eebcc", "c1b80bdd"),
                ("a1d90b5c", "ae9d2452"),
                ("5d2d6c55", "db83574e"),
                ("cfa93e08", "61801ae1"),
            ),
            segment_s=44.0,
            hub_repo="adefossez/Demucs-mdx_extra",
            download_bytes=4 * _HYBRID_BYTES,
        ),
        ModelCard(
            "mdx_q",
            "mdx quantised: a smaller download, slightly worse.",
            _FOUR,
            (
                ("6b9c2ca1", "3fd82607"),
                ("b72baf4e", "8778635e"),
                ("42e558d4", "196e0e1b"),
                ("305bc58f", "18378783"),
            ),
            bag_weights=_CHALLENGE,
            segment_s=44.0,
            hub_repo="adefossez/Demucs-mdx_q",
            needs_diffq=True,
        ),
        ModelCard(
            "mdx_extra_q",
            "mdx_extra quantised: a smaller download, slightly worse.",
            _FOUR,
            (
                ("83fc094f", "4a16d450"),
                ("464b36d7", "e5a9386e"),
                ("14fc6a69", "a89dd0ee"),
                ("7fd6ef75", "a905dd85"),
            ),
            segment_s=44.0,
            hub_repo="adefossez/Demucs-mdx_extra_q",
            needs_diffq=True,
        ),
    )
}


def card(name: str) -> ModelCard:
    """The card of the model `name`. Raises ModelError, with the nearest name, if there is none."""
    if name in MODELS:
        return MODELS[name]
    near = difflib.get_close_matches(name.lower(), MODELS, n=1)
    guess = f"Did you mean `{near[0]}`? " if near else ""
    raise ModelError(f"There is no model named `{name}`.", f"{guess}The models are: {', '.join(MODELS)}.")
