"""The presets, found by looking into this folder: a new one is a new file, and nothing else changes.

Module `microsoft365_smtp` is preset `microsoft365-smtp`. Modules are imported only when their preset is
asked for.
"""

from __future__ import annotations

import pkgutil
from difflib import get_close_matches
from importlib import import_module
from typing import cast

from harness.providers.errors import ConfigError
from harness.providers.preset import Preset


def names() -> list[str]:
    """The names of all presets, sorted; imports none of them."""
    found = (module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    return sorted(name.replace("_", "-") for name in found)


def load(name: str) -> Preset:
    """The preset of that name; raises ConfigError that lists the valid ones."""
    if name not in names():
        close = get_close_matches(name, names(), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"there is no preset {name!r}.{hint} Presets: {', '.join(names())}")
    return cast(Preset, import_module(f"{__name__}.{name.replace('-', '_')}").PRESET)


def all_presets() -> list[Preset]:
    return [load(name) for name in names()]
