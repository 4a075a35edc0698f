"""By names and labels a run's objects are found again, and no others."""

from __future__ import annotations

import os

from harness.testbed.containers import names
from harness.testbed.containers.names import RunNames, owner


def test_every_label_is_there_and_a_string() -> None:
    labels = RunNames.of_this_process("0123456789abcdef", "20260101-mail", keep=True).labels("gate")
    assert labels[names.RUN] == "0123456789abcdef"
    assert labels[names.NAME] == "20260101-mail"
    assert labels[names.PART] == "gate"
    assert labels[names.OWNER] == owner()
    assert labels[names.PID] == str(os.getpid())
    assert float(labels[names.STARTED]) > 0
    assert labels[names.KEEP] == "true"
    assert all(label.startswith("org.mail-failover-harness.") for label in labels)


def test_objects_of_two_runs_have_different_names() -> None:
    one, other = (RunNames.of_this_process(marker * 16, "same").object_name("edge") for marker in "ab")
    assert one == "mfh-aaaaaaaaaaaa-edge"
    assert one != other


def test_an_owner_is_a_user_on_a_machine() -> None:
    user, _, host = owner().partition("@")
    assert user == str(os.getuid())
    assert len(host) == 12
    assert owner() == owner()
