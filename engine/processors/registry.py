"""Registry: the effects that presets can name. A new effect joins by its line here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType

from engine.processors.processor import Processor

#: Name in preset files -> "module:class" within this package; imported when first asked for.
EFFECTS: Mapping[str, str] = MappingProxyType(
    {
        "denoise": "denoise:Denoise",
        "speech_denoise": "speech_denoise:SpeechDenoise",
        "gate": "gate:Gate",
        "compressor": "compressor:Compressor",
        "transient": "transient:Transient",
        "deess": "deess:Deess",
        "saturation": "saturation:Saturation",
        "equaliser": "equaliser:Equaliser",
        "width": "width:Width",
        "limiter": "limiter:Limiter",
    }
)


@lru_cache
def effects() -> Mapping[str, type[Processor]]:
    """Every effect's class by its name."""
    found: dict[str, type[Processor]] = {}
    for name, place in EFFECTS.items():
        module, _, attribute = place.partition(":")
        found[name] = getattr(import_module(f"engine.processors.{module}"), attribute)
    return MappingProxyType(found)
