"""Registry: the effects that presets can name. A new effect joins by its line here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType

from engine.processors.processor import Processor

#: Name in preset files -> "module:class"; imported when first asked for.
EFFECTS: Mapping[str, str] = MappingProxyType(
    {
        "denoise": "engine.processors.denoise:Denoise",
        "speech_denoise": "engine.processors.speech_denoise:SpeechDenoise",
        "gate": "engine.processors.gate:Gate",
        "expander": "engine.processors.expander:Expander",
        "compressor": "engine.processors.compressor:Compressor",
        "multiband": "engine.processors.multiband:Multiband",
        "glue": "engine.processors.glue:Glue",
        "ride": "engine.processors.ride:Ride",
        "consistency": "engine.processors.consistency:Consistency",
        "transient": "engine.processors.transient:Transient",
        "deess": "engine.processors.deess:Deess",
        "saturation": "engine.processors.saturation:Saturation",
        "exciter": "engine.processors.exciter:Exciter",
        "sub": "engine.processors.sub:Sub",
        "equaliser": "engine.processors.equaliser:Equaliser",
        "balance": "engine.processors.balance:Balance",
        "width": "engine.processors.width:Width",
        "limiter": "engine.processors.limiter:Limiter",
        "declip": "engine.repair.declip:Declip",
        "declick": "engine.repair.declick:Declick",
        "decomb": "engine.repair.decomb:Decomb",
        "pre_echo": "engine.repair.pre_echo:PreEcho",
        "dehum": "engine.repair.dehum:Dehum",
        "derumble": "engine.repair.derumble:Derumble",
        "phase_repair": "engine.repair.phase_repair:PhaseRepair",
        "dehiss": "engine.repair.dehiss:Dehiss",
        "deresonate": "engine.repair.deresonate:Deresonate",
        "deshimmer": "engine.repair.deshimmer:Deshimmer",
        "fill_holes": "engine.repair.fill_holes:FillHoles",
        "bandwidth": "engine.repair.bandwidth:Bandwidth",
    }
)


@lru_cache
def effects() -> Mapping[str, type[Processor]]:
    """Every effect's class by its name."""
    found: dict[str, type[Processor]] = {}
    for name, place in EFFECTS.items():
        module, _, attribute = place.partition(":")
        found[name] = getattr(import_module(module), attribute)
    return MappingProxyType(found)
