"""What a provider can play: whether, at which stage, and what is wrong with a fault that it refuses.

Nothing is known here; the presets are asked, as they will be asked when the fault is put in place.
"""

from __future__ import annotations

from typing import Any

import msgspec

from harness.providers import presets
from harness.providers.errors import FaultRefused
from harness.providers.http.answers import Stage as HttpStage
from harness.providers.preset import Preset
from harness.providers.smtp.answers import Stage as SmtpStage
from harness.providers.wire import ProviderFault
from harness.scenario.document import read_value
from harness.scenario.faults import KINDS, ActsIn, FaultBase, provider_fault

_TOLD_AS = {"delay_s": "delay", "retry_after_s": "retry_after", "class_": "class"}
NAMING_NO_ANSWER = ("certificate", "status")
"""Kinds whose `named` is no answer of the provider's, but what is wrong with it, or what it says."""
_BLAMED = (
    "stage",
    "retry_after_s",
    "code",
    "text",
    "named",
    "delay_s",
    "event",
    "burst",
    "quota",
    "rate",
    "recipient",
    "class_",
    "tenant",
    "share",
    "every",
    "nth",
    "count",
)
"""In this order: where two attributes do not go together, the one that is easier to do without."""


def kinds_in(*places: ActsIn) -> tuple[str, ...]:
    """The faults that act there."""
    return tuple(kind for kind, model in KINDS.items() if model.acts_in in places)


def example(kind: str, number: int = 0) -> FaultBase:
    """One of the examples of a kind, as the model has it."""
    model = KINDS[kind]
    return model.model_validate(read_value(model.examples[number]))


def plays(fake: str, kind: str, endpoint: str = "") -> bool:
    """Whether this preset can play the kind there, by any of its examples."""
    preset = presets.load(fake)
    return any(_places(preset, _as_put(kind, endpoint, each)) for each in range(len(KINDS[kind].examples)))


def kinds_played(fake: str, endpoint: str = "") -> tuple[str, ...]:
    """The faults inside a provider that this preset can play there."""
    return tuple(kind for kind in kinds_in(ActsIn.PROVIDER) if plays(fake, kind, endpoint))


def takes_logins(fake: str, endpoint: str = "") -> bool:
    """Whether anybody logs in there: what can be rotated is a secret that opens. Where mail is sent, what one
    endpoint gives out is presented at the others; a page for everybody asks for nothing but where it is
    managed."""
    preset = presets.load(fake)
    where = ("", *preset.endpoints) if preset.carries_mail else (endpoint,)
    return any(plays(fake, "key-rotated", each) for each in where)


def stages(fake: str, kind: str, endpoint: str = "") -> tuple[str, ...]:
    """Where in an attempt this preset can play it there; none where that cannot be chosen."""
    preset, plain = presets.load(fake), _as_put(kind, endpoint)
    words = map(str, HttpStage if preset.engine == "http" else SmtpStage)
    return tuple(
        stage for stage in words if _places(preset, msgspec.structs.replace(plain, stage=stage), at=stage)
    )


def refused(preset: Preset, fault: ProviderFault) -> tuple[str, str] | None:
    """(key, why) where the preset would not play it; the key is the one without which it would.

    The preset can play the kind as such.
    """
    try:
        preset.place_fault(fault)
    except FaultRefused as error:
        why = str(error)
        for name, told_as in _TOLD_AS.items():
            why = why.replace(name, told_as)
        return _blamed(preset, fault), why
    return None


def _blamed(preset: Preset, fault: ProviderFault) -> str:
    usual = {field.name: field.default for field in msgspec.structs.fields(ProviderFault)}
    for name in _BLAMED:
        if getattr(fault, name) != usual[name]:
            without: dict[str, Any] = {name: usual[name]}
            if name == "code":
                without["text"] = None
            if _places(preset, msgspec.structs.replace(fault, **without)):
                return _TOLD_AS.get(name, name)
    return "named" if fault.named is not None and fault.type in NAMING_NO_ANSWER else "fault"


def _as_put(kind: str, endpoint: str, number: int = 0) -> ProviderFault:
    put = provider_fault("f", kind, "", example(kind, number).attributes())
    return msgspec.structs.replace(put, route=None, endpoint=endpoint)


def _places(preset: Preset, fault: ProviderFault, *, at: str | None = None) -> bool:
    try:
        placed = preset.place_fault(fault)
    except FaultRefused:
        return False
    return at is None or placed.stage == at
