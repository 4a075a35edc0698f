"""The environment: what is understood, and what stops the router before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from mailrouter.config import ConfigError, Kind, Throttle, Waves, WhenPrimaryIsDown, from_environment
from mailrouter.defects import Defect, UnknownDefect
from mailrouter.dkim_signing import DkimKey
from mailrouter.message import Message

LEAST = {
    "PRIMARY_URL": "smtp+starttls://us%40er:p%3Aw@127.0.0.1:587",
    "BACKUP_URL": "sendgrid+http://apikey:SG.k@127.0.0.1:80",
    "STATE_DIR": "/tmp/state",
    "PORT": "8025",
}


def test_everything_can_be_given() -> None:
    config = from_environment(
        LEAST
        | {"THROTTLE": "600/min burst 5", "WAVES": "7% every 5m", "MARKETING": "send", "MAX_RETRY": "400ms"}
        | {"APPROVAL": "required", "DEFECTS": "no-throttle, slow-detect", "SENDERS": "2"}
    )
    assert (config.primary.username, config.primary.secret) == ("us@er", "p:w")
    assert (config.throttle, config.waves) == (Throttle(10.0, 5), Waves(0.07, 300.0))
    assert (config.marketing, config.max_retry_s, config.approval) == (WhenPrimaryIsDown.SEND, 0.4, True)
    assert config.defects == {Defect.NO_THROTTLE, Defect.SLOW_DETECT}
    assert "p:w" not in repr(config)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DETECT_AFTER", "soon"), ("THROTTLE", "fast"), ("WAVES", "120% every 2s"), ("MARKETING", "maybe"),
        ("APPROVAL", "yes"), ("PRIMARY_URL", "pigeon://x:1"), ("PORT", ""), ("SENDERS", "many"),
        ("STATUS_URL", "status.example.com"), ("ANNOUNCE_URL", "our-page"), ("ANNOUNCE_AFTER", "later"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        from_environment(LEAST | {name: value})


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("msgraph+https://id:secret@graph.example:443", "needs `\\?token_url"),
        ("ses+http://id:secret@ses.example:80?regio=eu-west-1", "no option 'regio'; it has: region"),
        ("sendgrid+smtp://k@x.example:1", "unknown kind of route"),
        ("resend+http://k@x.example", "a host and a port"),
        ("twilio+http://sid:token@x.example:1?from=1", "FALLBACK_URL"),
    ],
)
def test_what_a_route_s_url_lacks_is_said(url: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=f"PRIMARY_URL: .*{wrong}"):
        from_environment(LEAST | {"PRIMARY_URL": url})


def test_a_route_by_an_api_is_its_kind_its_place_and_its_options() -> None:
    config = from_environment(
        LEAST
        | {"PRIMARY_URL": "msgraph+https://id:s%2Fecret@h.example:443?token_url=https://l.example/t/token"}
        | {"BACKUP_URL": "ses+http://AKIA:k@127.0.0.1:80?region=eu-west-1", "EVENTS_KEY_BACKUP": "pem"}
        | {"FALLBACK_URL": "twilio+http://AC1:token@127.0.0.1:81?from=%2B15005550006", "FALLBACK_AFTER": "9s"}
    )
    assert (config.primary.kind, config.primary.transport) == (Kind.MSGRAPH, "https")
    assert config.primary.options == {"token_url": "https://l.example/t/token"}
    assert config.backup.options == {"region": "eu-west-1"}
    assert config.fallback is not None and config.fallback.options == {"from": "+15005550006"}
    assert (config.events_keys("ses"), config.events_keys("msgraph")) == (["pem"], [])


def test_an_unknown_defect_is_answered_with_the_catalogue() -> None:
    with pytest.raises((ConfigError, UnknownDefect), match="blind-resend, retries-unknown-fate, timeout-is"):
        from_environment(LEAST | {"DEFECTS": "no-such"})


class TestDkim:
    def test_a_key_for_each_route(self, tmp_path: Path) -> None:
        file = tmp_path / "primary.pem"
        file.write_bytes(b"PEM")
        config = from_environment({**LEAST, "PRIMARY_DKIM": f"p2026:shop.example:{file}"})
        assert config.dkim_primary == DkimKey("p2026", "shop.example", b"PEM") and config.dkim_backup is None
        assert "PEM" not in repr(config.dkim_primary)

    @pytest.mark.parametrize(
        "text", ["p2026", "p2026:shop.example", ":shop.example:key.pem", "a:b:/no/such/file"]
    )
    def test_what_is_no_key_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match="BACKUP_DKIM"):
            from_environment({**LEAST, "BACKUP_DKIM": text})

    def test_unsubscribing_with_one_click_is_by_https(self) -> None:
        with pytest.raises(ConfigError, match="UNSUBSCRIBE_URL"):
            from_environment({**LEAST, "UNSUBSCRIBE_URL": "http://shop.example/u"})


def test_only_one_click_has_the_second_field() -> None:
    body = {
        "to": "a@customer.example",
        "from": "b@shop.example",
        "subject": "s",
        "text": "t",
        "class": "marketing",
    }
    message = Message.submitted("k 1", body)
    fields = message.unsubscribable("https://shop.example/u", one_click=True).headers
    assert fields == {
        "List-Unsubscribe": "<https://shop.example/u?m=k%201>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert list(message.unsubscribable("https://shop.example/u", one_click=False).headers) == [
        "List-Unsubscribe"
    ]
