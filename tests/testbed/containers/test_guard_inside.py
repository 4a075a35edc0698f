"""What a guard counts, by what the kernel tells of the network that it sits in."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.testbed.containers import guard_inside
from harness.testbed.containers.guard_inside import Count

HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT"
DEFAULT = "eth0 00000000 010013AC 0003 0 0 0 00000000 0 0 0"
FIRST = "eth0 000013AC 00000000 0001 0 0 0 0000FFFF 0 0 0"
SECOND = "eth1 000014AC 00000000 0001 0 0 0 0000FFFF 0 0 0"


class Kernel:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tells(self, count: int, *routes: str) -> None:
        (self.folder / "route").write_text("\n".join([HEAD, *routes]) + "\n")
        (self.folder / "snmp").write_text(f"Ip: Forwarding OutNoRoutes\nIp: 2 {count}\nIcmp: A\nIcmp: 1\n")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setattr(guard_inside, "PROC_NET", tmp_path)
    return Kernel(tmp_path)


def looked(kernel: Kernel, *tellings: tuple[int, tuple[str, ...]]) -> int:
    count = Count()
    for value, routes in tellings:
        kernel.tells(value, *routes)
        count.look()
    return count.value


def test_each_call_to_the_outside_counts(kernel: Kernel) -> None:
    assert looked(kernel, (0, (DEFAULT, FIRST)), (1, (FIRST,)), (3, (FIRST,))) == 3


def test_what_is_sent_after_the_end_counts_for_nothing(kernel: Kernel) -> None:
    assert looked(kernel, (1, (FIRST, SECOND)), (3, ())) == 1


def test_nor_does_what_is_sent_while_its_networks_are_taken_from_it_one_by_one(kernel: Kernel) -> None:
    assert looked(kernel, (0, (FIRST, SECOND)), (2, (SECOND,)), (4, ())) == 0


def test_what_was_called_while_one_was_away_counts_once_it_is_back(kernel: Kernel) -> None:
    assert looked(kernel, (0, (FIRST, SECOND)), (2, (SECOND,)), (2, (FIRST, SECOND))) == 2


def test_a_network_that_comes_later_is_one_of_them(kernel: Kernel) -> None:
    assert looked(kernel, (0, (FIRST,)), (1, (FIRST, SECOND)), (5, (FIRST,))) == 1
