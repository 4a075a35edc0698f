"""Every preset describes itself, and a new one is found by being there."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import BaseModel

from harness.providers import presets
from harness.providers.errors import ConfigError, FaultRefused
from harness.providers.wire import ProviderFault


def test_the_presets_of_the_first_hour_are_there() -> None:
    assert {"microsoft365-smtp", "smtp"} <= set(presets.names())


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_describes_itself(name: str) -> None:
    preset = presets.load(name)
    assert preset.name == name
    assert preset.summary and "\n" not in preset.summary
    assert date(2026, 1, 1) <= preset.dated
    assert issubclass(preset.limits, BaseModel)
    assert preset.scheme and preset.engine


@pytest.mark.parametrize("name", presets.names())
def test_every_named_answer_can_be_put_in_place_and_no_other(name: str) -> None:
    preset = presets.load(name)
    for named in preset.answers:
        assert preset.place_fault(ProviderFault(id="f", type="refuse", named=named)).answer is not None
    with pytest.raises(FaultRefused):
        preset.place_fault(ProviderFault(id="f", type="refuse", named="unheard-of"))


def test_a_misspelt_preset_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'smtp'"):
        presets.load("smpt")
