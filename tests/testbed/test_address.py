"""Addresses of routes: their schemes and the ports that clients have compiled in."""

from __future__ import annotations

from harness.testbed.address import scheme_of, usual_port


def test_a_scheme_tells_the_port_that_clients_have_compiled_in():
    assert [usual_port(each) for each in ("smtp+starttls", "sendgrid+https", "sendgrid+http")] == [
        587,
        443,
        8080,
    ]
    assert scheme_of("sendgrid+http", claims_hosts=True) == "sendgrid+https"
    assert scheme_of("sendgrid+http", claims_hosts=False) == "sendgrid+http"
    assert scheme_of("smtp+starttls", claims_hosts=True) == "smtp+starttls"
