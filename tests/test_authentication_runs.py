"""Mail that proves its sender through an outage, on real runs: by the router's own signatures and a
provider's; each defect and each trouble in the zone is caught, and keys stay where they belong."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from email.parser import BytesParser
from pathlib import Path

import pytest

from tests.ran import Ran, run_harness

AT_ONCE = 4
SHORT = {
    "workload.receipts.for": "4s",
    "workload.newsletter.for": "4s",
    "faults.0.for": "2s",
    # A fault cuts what is in flight, and a right system holds that: of so few messages one is above 1 %.
    "expect.delivered": "{held_at_most: 10%}",
}
BY_SMTP = {
    "providers.standby.fake": "smtp-starttls",
    "routes.backup.mail.sign": "system",
    "system.env.BACKUP_DKIM": "b2026:shop.example:{{ routes.backup.dkim.key_file }}",
}
SEALED = {
    "routes.backup.mail.arc": "true",
    "routes.primary.mail.arc": "true",
    "expect.authentication.arc": "true",
}
CASES = {
    "right": SEALED,
    "right by SMTP": BY_SMTP,
    "same-dkim-key": {**BY_SMTP, "system.env.DEFECTS": "same-dkim-key"},
    "backup-unaligned": {"system.env.DEFECTS": "backup-unaligned"},
    "no-one-click": {"system.env.DEFECTS": "no-one-click"},
    "revoked": {"routes.backup.mail.published": "revoked", "routes.backup.mail.in_spf": "false"},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Ran]]]:
    """Every case, under way."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(
                run_harness, "authentication", {**SHORT, **settings}, tmp_path_factory.mktemp("runs")
            )
            for name, settings in CASES.items()
        }


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["right", "right by SMTP"])
def test_the_right_system_passes_by_both_routes(runs: dict[str, Future[Ran]], name: str) -> None:
    ran = runs[name].result()
    assert ran.exit_code == 0, ran.said
    used = {
        event["route"] for event in ran.events() if event["kind"] == "receipt" and not event.get("canary")
    }
    assert used == {"primary", "backup"}
    numbers = ran.finding("authentication")["numbers"]
    assert numbers["copies"] > 20 and numbers["not_kept"] == numbers["without_aligned_signature"] == 0


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("name", "causes"),
    [
        ("same-dkim-key", {"shared key"}),
        ("backup-unaligned", {"dmarc"}),
        ("no-one-click", {"one-click"}),
        ("revoked", {"dkim"}),
    ],
)
def test_a_backup_that_proves_nothing_is_caught(
    runs: dict[str, Future[Ran]], name: str, causes: set[str]
) -> None:
    ran = runs[name].result()
    assert ran.exit_code == 1, ran.said
    assert ran.failed == {"authentication"}, ran.said
    assert {each["cause"] for each in ran.finding("authentication")["offenders"]} == causes


@pytest.mark.e2e
def test_what_left_is_what_was_handed_over_and_the_stored_body_is_untouched(
    runs: dict[str, Future[Ran]],
) -> None:
    """By SMTP the stored body has the system's signature; the provider's own is in what left it alone."""
    folder = Path(runs["right"].result().run["run_dir"])
    stored = {name: (folder / "bodies" / f"{name}.pack").read_bytes() for name in ("relay", "standby")}
    left = {name: (folder / "outbound" / f"{name}.pack").read_bytes() for name in ("relay", "standby")}
    assert b"DKIM-Signature" in stored["relay"] and b"DKIM-Signature" not in stored["standby"]
    assert b"s=b2026" in left["standby"] and b"s=p2026" in left["relay"]
    first = BytesParser().parsebytes(left["standby"])
    assert first["From"] == "no-reply@shop.example" and first["X-Harness-Token"]


@pytest.mark.e2e
def test_a_private_key_is_in_its_own_file_and_nowhere_else(runs: dict[str, Future[Ran]]) -> None:
    folder = Path(runs["right"].result().run["run_dir"])
    key = (folder / "dkim" / "primary.pem").read_text().splitlines()[1].encode()
    files = [each for each in folder.rglob("*") if each.is_file() and each.parent.name != "dkim"]
    assert len(files) > 5
    assert [each for each in files if key in each.read_bytes()] == []
