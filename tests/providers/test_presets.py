"""Every preset describes itself, and a new one is found by being there."""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import BaseModel

from harness.providers import presets
from harness.providers.errors import ConfigError, FaultRefused
from harness.providers.wire import ProviderFault
from tests.providers.stand_ins import A_PAGE, tokened

USUAL = ("mailpit", "microsoft365-smtp", "sendgrid", "smtp")


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


@pytest.mark.parametrize("name", presets.names())
def test_each_endpoint_beside_the_main_one_has_a_canary_and_every_real_host_is_one_of_them(name: str) -> None:
    preset = presets.load(name)
    assert set(preset.endpoint_canaries) == set(preset.endpoints)
    assert set(preset.real_hosts.values()) <= {"", *preset.endpoints}
    for endpoint in preset.endpoints:
        assert endpoint.isidentifier() and endpoint == endpoint.lower(), "it is part of a template's variable"
        assert endpoint not in ("events", "base", ""), "these names are taken"


def test_a_preset_whose_api_takes_no_messages_carries_no_mail() -> None:
    assert all(preset.carries_mail for preset in presets.all_presets() if preset.name in USUAL)
    assert not A_PAGE.carries_mail and tokened(1).carries_mail


def test_a_misspelt_preset_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'smtp'"):
        presets.load("smpt")
