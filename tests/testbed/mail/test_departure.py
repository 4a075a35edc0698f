"""Keys and zone of a run, and mail as it leaves: signed by whom the scenario says, on its return path."""

from __future__ import annotations

import stat
from email.parser import BytesParser
from pathlib import Path

import msgspec
import pytest

from harness.checks.mail.verify import PASS, Verified, Verifier
from harness.checks.mail.zone import Zone
from harness.history.events import HarnessWarning, Receipt, ReceiptResult, RunStarted
from harness.history.journal import write_events
from harness.providers.outgoing import Taken, as_it_came
from harness.scenario.models import Scenario
from harness.scenario.senders import senders
from harness.testbed.credentials import fingerprints
from harness.testbed.mail.departure import INDEX, Departed, depart, write_outbound
from harness.testbed.mail.keys import FOLDER, dkim_variables, write_keys
from harness.testbed.mail.zone import write_zone, zone
from tests.scenario.writing import loaded

SEED = 7
WALL_S = 1_795_521_600.0
MESSAGE = b"From: no-reply@shop.example\r\nTo: c.a@customer.example\r\nSubject: Mail\r\n\r\nhello\r\n"


def scenario(of_primary: str = "{}") -> Scenario:
    return loaded(
        ("providers:\n", "mail: {domain: shop.example}\nproviders:\n"),
        ("primary: {provider: m365}", f"primary: {{provider: m365, mail: {of_primary}}}"),
    )


def verified(of_primary: str = "{}", message: bytes = MESSAGE) -> tuple[Verified, str]:
    """A message by the primary, as it leaves and as its receiver judges it; and its return path."""
    planned = scenario(of_primary)
    sender = senders(planned)["primary"]
    taken = Taken(
        body=message, recipient="c.a@customer.example", sender="no-reply@shop.example", wall_s=WALL_S
    )
    left, mail_from = depart(taken, as_it_came, sender, SEED)
    found = Verifier(Zone(zone(planned, SEED))).verify(left, mail_from, sender.egress, WALL_S)
    return found, mail_from


def test_all_is_well_by_default() -> None:
    found, mail_from = verified()
    assert (found.dkim, found.spf, found.dmarc) == (PASS, PASS, PASS)
    assert (found.aligned[0].selector, mail_from) == ("primary", "no-reply@shop.example")


@pytest.mark.parametrize(
    ("of_primary", "dkim", "spf", "dmarc"),
    [
        ("{published: missing}", "is not in the zone", PASS, PASS),
        ("{published: revoked}", "is revoked", PASS, PASS),
        ("{in_spf: false}", PASS, "does not allow 192.0.2.10", PASS),
        (
            "{in_spf: false, published: missing}",
            "is not in the zone",
            "does not allow",
            "validly signed by nobody",
        ),
        ("{sign: nobody}", "no DKIM signature", PASS, PASS),
        ("{sign: system}", "no DKIM signature", PASS, PASS),  # it left that to the system, which did not
        ("{domain: relay.example}", PASS, PASS, "validly signed by microsoft365-smtp.example"),
        ("{domain: mail.shop.example}", PASS, PASS, "validly signed by microsoft365-smtp.example"),
        ("{bounces: bounces.shop.example, egress: 203.0.113.5}", PASS, PASS, PASS),
    ],
)
def test_what_a_scenario_can_plant(of_primary: str, dkim: str, spf: str, dmarc: str) -> None:
    found, _ = verified(of_primary)
    assert dkim in found.dkim and spf in found.spf and dmarc in found.dmarc


def test_mail_from_elsewhere_is_signed_by_the_provider_for_itself_and_bounces_there() -> None:
    found, mail_from = verified(message=MESSAGE.replace(b"shop.example", b"other.example"))
    assert (found.dkim, found.spf, found.aligned) == (PASS, PASS, ())
    assert mail_from == "bounces@bounces.microsoft365-smtp.example"
    assert "other.example publishes no DMARC policy" in found.dmarc


def test_without_a_return_path_spf_is_judged_by_the_server_of_the_provider() -> None:
    planned = scenario()
    sender = senders(planned)["primary"]
    left, mail_from = depart(Taken(body=MESSAGE, recipient="c.a@customer.example"), as_it_came, sender, SEED)
    assert mail_from == "postmaster@bounces.microsoft365-smtp.example"
    found = Verifier(Zone(zone(planned, SEED))).verify(left, mail_from, sender.egress, WALL_S)
    assert (found.spf, found.dmarc) == (PASS, PASS)
    unsigned = senders(scenario("{sign: nobody}"))["primary"]
    left, mail_from = depart(
        Taken(body=MESSAGE, recipient="c.a@customer.example"), as_it_came, unsigned, SEED
    )
    found = Verifier(Zone(zone(planned, SEED))).verify(left, mail_from, unsigned.egress, WALL_S)
    assert (found.spf, found.aligned) == (PASS, ()) and "validly signed by nobody" in found.dmarc


def test_a_seal_where_it_is_asked_for() -> None:
    assert verified("{arc: true}")[0].arc == PASS
    assert verified()[0].arc == "there is no ARC seal"


def test_the_key_of_another_route_is_published_twice() -> None:
    shared, own = (dict(Zone(zone(each, SEED)).keys()) for each in (scenario("{key_of: backup}"), scenario()))
    names = [f"{selector}._domainkey.shop.example" for selector in ("primary", "backup")]
    assert shared[names[0]] == shared[names[1]]
    assert len(own) == len(set(own.values())) == 4


def test_the_same_seed_makes_the_same_mail_and_another_seed_other_keys() -> None:
    planned = scenario()
    taken = Taken(body=MESSAGE, recipient="c.a@customer.example", id="x", wall_s=WALL_S)
    twice = [depart(taken, as_it_came, senders(planned)["primary"], SEED) for _ in range(2)]
    assert twice[0] == twice[1]
    assert zone(planned, SEED) == zone(planned, SEED) != zone(planned, SEED + 1)


def test_the_system_gets_the_keys_that_it_signs_with_and_no_others(tmp_path: Path) -> None:
    planned = scenario("{sign: system}")
    write_keys(tmp_path, planned, SEED)
    told = dkim_variables(planned, SEED, str(tmp_path / FOLDER))
    assert list(told) == ["primary"]
    file = Path(told["primary"]["key_file"])
    assert [each.name for each in (tmp_path / FOLDER).iterdir()] == [file.name]
    assert file.read_text() == told["primary"]["key"] and stat.S_IMODE(file.stat().st_mode) == 0o600


def test_nothing_is_written_where_the_scenario_has_no_mail(tmp_path: Path) -> None:
    write_keys(tmp_path, loaded(), SEED)
    write_zone(tmp_path, loaded(), SEED)
    assert write_outbound(tmp_path, loaded(), SEED).messages == 0
    assert list(tmp_path.iterdir()) == []


def test_fingerprints_tell_secrets_apart_and_give_none_away() -> None:
    found = fingerprints(loaded(), SEED)
    assert list(found) == ["primary", "backup"] and len(set(found.values())) == 2
    assert all(len(each) == 16 for each in found.values())


class TestOutbound:
    def receipt(self, n: int, result: ReceiptResult, **more: object) -> Receipt:
        fields = {"body_offset": 0, "body_bytes": len(MESSAGE), "recipient": "c.a@customer.example", **more}
        made = {
            "source": "m365", "n": n, "provider": "m365", "route": "primary", "endpoint": "smtp",
            "result": result, "attempt": f"a{n}", "token": "a", "t_ns": 1, "begin_ns": 0, "end_ns": 1,
        }  # fmt: skip
        return Receipt(**(made | fields))

    def write(self, folder: Path, *receipts: Receipt) -> list[Departed]:
        (folder / "bodies").mkdir()
        (folder / "bodies" / "m365.pack").write_bytes(MESSAGE)
        started = RunStarted(
            t_ns=0, wall_start="2026-11-24T12:00:00Z", scenario="x", resolved={}, seed=SEED,
            testbed="local", proxy="embedded",
        )  # fmt: skip
        noise = HarnessWarning(t_ns=1, warning="x", detail='"kind":"receipt"')
        write_events(folder / "history.jsonl", "run", [started, noise, *receipts])
        self.left = write_outbound(folder, scenario(), SEED)
        lines = (folder / "outbound" / INDEX).read_bytes().splitlines()
        return [msgspec.json.decode(line, type=Departed) for line in lines]

    def test_what_was_taken_leaves_and_nothing_else(self, tmp_path: Path) -> None:
        accepted, lost = ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST
        index = self.write(
            tmp_path,
            self.receipt(1, accepted),
            self.receipt(2, ReceiptResult.DEFERRED, body_offset=None),
            self.receipt(3, lost),
            self.receipt(4, accepted, canary="harness"),
        )
        assert [(each.source, each.n) for each in index] == [("m365", 1), ("m365", 3)]
        pack = (tmp_path / "outbound" / "m365.pack").read_bytes()
        for each in index:
            message = BytesParser().parsebytes(pack[each.offset : each.offset + each.bytes])
            assert message["DKIM-Signature"] and message["Subject"] == "Mail"
        assert (self.left.messages, self.left.unmade) == (2, 0)

    def test_a_body_that_makes_no_message_is_counted(self, tmp_path: Path) -> None:
        index = self.write(tmp_path, self.receipt(1, ReceiptResult.ACCEPTED, body_bytes=0))
        assert index == [] and self.left.unmade == 1 and self.left.reason
