"""Which addresses a scenario may name: of mail, and of the port to which it is submitted by SMTP."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from harness.scenario.part import Address
from harness.scenario.submission import Submit


@pytest.mark.parametrize("address", ["ann@customer.example", "o'neil+shop@mail.test", "a@example.com"])
def test_plain_addresses_of_reserved_domains_are_taken(address: str) -> None:
    assert TypeAdapter(Address).validate_python(address) == address


@pytest.mark.parametrize(
    "address", ["Ann <ann@customer.example>", "a,b@customer.example", "jürgen@customer.example", "@a.example"]
)
def test_what_no_envelope_could_carry_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Address).validate_python(address)


@pytest.mark.parametrize(
    "smtp", ["2525", "127.0.0.1:2525", "{{ system.port }}", "{{ system.host }}:{{ system.port }}"]
)
def test_a_port_or_host_and_port_is_where_mail_can_be_submitted(smtp: str) -> None:
    assert Submit.model_validate({"smtp": smtp}).smtp == smtp


@pytest.mark.parametrize("smtp", ["0", "65536", "127.0.0.1:99999", "mail.example", "{{ system.host }}"])
def test_what_is_no_port_is_refused(smtp: str) -> None:
    with pytest.raises(ValidationError):
        Submit.model_validate({"smtp": smtp})
