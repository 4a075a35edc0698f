"""Faults as people write them: every example of the catalogue is taken, and what makes no sense is refused
with its place, what was meant and what is valid.
"""

from __future__ import annotations

import pytest

from harness.providers.faults import FaultType
from harness.scenario.catalogue import catalogue, selection
from harness.scenario.document import read_value
from harness.scenario.errors import Problem
from harness.scenario.faults import KINDS, ActsIn
from harness.scenario.loader import load_text
from harness.scenario.playable import kinds_in, kinds_played, stages
from tests.scenario.writing import FILE, problem, problems

ROUTES = """\
scenario: drill
summary: One fault at a time.
baseline: {for: 2s}
providers:
  m365: {fake: microsoft365-smtp, limits: {messages_per_minute: 1200}}
  grid: {fake: sendgrid}
  graph: {fake: microsoft-graph}
  statuspage: {fake: statuspage}
  pit: {fake: mailpit}
routes:
  primary: {provider: m365, tenant: contoso}
  backup: {provider: grid}
  graph: {provider: graph}
  page: {provider: statuspage}
  pit: {provider: pit}
system:
  SYSTEM
  submit: {http: "POST /messages"}
  longest_retry: 2s
workload:
  - {stream: receipts, class: transactional, rate: 5/s, for: 20s, within: 1s}
faults:
FAULTS
drain: {deadline: 60s}
expect: {duplicates: none}
"""


def scenario(*faults: str, system: str = "process: [python, -m, mailrouter]") -> str:
    lines = "\n".join(f"  - {fault}" for fault in faults)
    return ROUTES.replace("SYSTEM", system).replace("FAULTS", lines)


EXAMPLES = [(entry.kind, example) for entry in catalogue() for example in entry.examples]


@pytest.mark.parametrize(
    ("kind", "example"), EXAMPLES, ids=[f"{kind}-{text[1:40]}" for kind, text in EXAMPLES]
)
def test_every_example_of_the_catalogue_loads(kind: str, example: str) -> None:
    system = "container: {image: shop/mailer}" if kind == "partition" else "process: [python, -m, mailrouter]"
    (fault,) = load_text(scenario(example, system=system), FILE).faults
    assert fault.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_example_has_no_more_than_it_needs(kind: str) -> None:
    model = KINDS[kind]
    given = set(read_value(model.examples[0])) - {"at", "for", "on", "fault"}
    needed = {info.alias or name for name, info in model.model_fields.items() if info.is_required()}
    alternatives = {"refuse": "code", "throttle": "quota"}
    assert given - needed <= {alternatives.get(kind)}


def test_the_examples_show_every_attribute_and_every_way_to_select() -> None:
    shown = {key for _, example in EXAMPLES for key in read_value(example)}
    attributes = {attribute.name for entry in catalogue() for attribute in entry.attributes}
    assert attributes <= shown
    assert {attribute.name for attribute in selection()} - shown <= {"class", "tenant", "recipient"}


def test_a_scenario_can_say_whatever_a_provider_can_play() -> None:
    assert set(kinds_in(ActsIn.PROVIDER)) == {kind.value for kind in FaultType}


def test_every_kind_inside_a_provider_is_played_by_somebody() -> None:
    for entry in catalogue():
        if entry.where == "inside a provider":
            assert entry.played_by, entry.kind


def refused(fault: str) -> Problem:
    return problem(scenario(fault))


WRONG = {
    "for: 4s, on: primary, fault: bandwidth, rate: 0kB/s": ("rate", "1kB/s to 50kB/s"),
    "for: 4s, on: primary, fault: bandwidth, rate: 10": ("rate", "10kB/s"),
    "for: 4s, on: primary, fault: bandwidth, rate: 1500B/s": ("rate", "whole kilobytes"),
    "for: 4s, on: primary, fault: bandwidth, rate: 1MB/s": ("rate", "50kB/s"),
    "for: 4s, on: primary, fault: cut, after: 0B": ("after", "1B to 16kB"),
    "for: 4s, on: primary, fault: cut, after: 1MB": ("after", "1B to 16kB"),
    "for: 4s, on: primary, fault: slice, size: 1B, delay: 1ms": ("size", "4B to 16kB"),
    "for: 4s, on: primary, fault: slice, size: 4kB, delay: 1ms": ("delay", "dead or an open one"),
    "for: 4s, on: primary, fault: slice, size: 4B, delay: 100ms": ("delay", "dead or an open one"),
    "for: 4s, on: primary, fault: slow-close, delay: 0s": ("delay", "between 1ms and 60s"),
    "for: 4s, on: primary, fault: slow-ack, delay: 2h": ("delay", "between 1ms and 3600s"),
    "for: 4s, on: primary, fault: refuse, code: 250": ("code", "at least 400"),
    "for: 4s, on: primary, fault: refuse": ("", "needs `code`, or `named`"),
    "for: 4s, on: primary, fault: throttle": ("", "needs `rate`"),
    "for: 4s, on: primary, fault: throttle, rate: 1/s, quota: 3": ("quota", "needs `rate`"),
    "for: 4s, on: primary, fault: throttle, quota: 3, burst: 2": ("burst", "goes with `rate`"),
    "for: 4s, on: primary, fault: hang, nth: 3, every: 2": ("every", "nothing to say"),
    "for: 4s, on: primary, fault: hang, share: 0%": ("share", "above 0%"),
    "for: 4s, on: backup, fault: bounce, event: vanished": ("event", "not valid here"),
    "for: 4s, on: primary, fault: hang, recipent: x": ("recipent", "unknown key"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_what_makes_no_sense_is_refused_at_its_place(fault: str) -> None:
    key, said = WRONG[fault]
    found = refused(f"{{at: 5s, {fault}}}")
    assert found.path == (f"faults[0].{key}" if key else "faults[0]")
    assert said in found.render()
    assert found.line == 23


class TestAsked:
    """What a provider can play is for its preset to say."""

    def test_a_stage_that_the_protocol_has_not_is_told_with_those_that_it_has(self) -> None:
        found = refused("{at: 5s, for: 4s, on: primary, fault: disconnect, stage: bdy}")
        assert found.path == "faults[0].stage"
        assert found.choices == stages("microsoft365-smtp", "disconnect")
        assert found.meant == "body"
        assert refused("{at: 5s, for: 4s, on: backup, fault: hang, stage: rcpt}").choices == ("head", "body")

    def test_a_stage_at_which_nobody_knows_the_class(self) -> None:
        found = refused(
            "{at: 5s, for: 4s, on: primary, fault: refuse, code: 451, stage: mail, class: transactional}"
        )
        assert found.path == "faults[0].stage"
        assert "nobody knows" in found.message

    def test_a_kind_that_it_cannot_play_is_told_with_those_that_it_can(self) -> None:
        found = refused("{at: 5s, for: 4s, on: page, fault: silent-drop}")
        assert found.path == "faults[0].fault"
        assert set(kinds_played("statuspage")) <= set(found.choices)
        assert {"outage", "latency"} <= set(found.choices)

    def test_a_kind_that_it_can_play_at_another_endpoint(self) -> None:
        found = refused("{at: 5s, for: 4s, on: graph, fault: key-rotated}")
        assert found.advice == "It can at its endpoint `token`."
        assert not problems(scenario("{at: 5s, for: 4s, on: graph.token, fault: key-rotated}"))

    def test_an_attribute_that_it_has_no_use_for(self) -> None:
        found = refused("{at: 5s, for: 4s, on: primary, fault: refuse, code: 451, retry_after: 3s}")
        assert found.path == "faults[0].retry_after"
        assert "no use for retry_after" in found.message

    def test_half_an_answer_of_another_kind(self) -> None:
        found = refused("{at: 5s, for: 4s, on: backup, fault: ack-loss, code: 504, stage: mid-reply}")
        assert found.path == "faults[0].stage"

    def test_an_answer_that_it_does_not_have(self) -> None:
        found = refused("{at: 5s, for: 4s, on: primary, fault: ack-loss, named: sever-busy}")
        assert (found.path, found.meant) == ("faults[0].named", "server-busy")

    def test_what_a_status_page_has_no_word_for(self) -> None:
        found = refused("{at: 5s, for: 4s, on: page, fault: status, named: apocalyptic}")
        assert found.path == "faults[0].named"
        assert "minor, major, critical" in found.message

    def test_a_login_where_nobody_logs_in(self) -> None:
        found = refused("{at: 5s, for: 4s, on: page, fault: auth-failure}")
        assert found.message == "`auth-failure` refuses logins, and statuspage asks nobody for one"
        assert found.advice == "It asks at its endpoint `manage`."

    @pytest.mark.parametrize(
        "what",
        ["auth-failure", "outage", "key-rotated", "ack-loss", "refuse, named: manage-rate-limited"],
    )
    def test_where_a_status_page_is_managed_it_can_have_what_a_page_cannot(self, what: str) -> None:
        assert not problems(scenario(f"{{at: 5s, for: 4s, on: page.manage, fault: {what}}}"))

    def test_a_status_page_tells_of_incidents_where_it_is_read(self) -> None:
        found = refused("{at: 5s, for: 4s, on: page.manage, fault: status, named: major}")
        assert found.message == "statuspage cannot play `status` at its endpoint `manage`"
        assert found.advice == "It can on the route itself."

    def test_a_certificate_where_nobody_is_shown_one(self) -> None:
        found = refused("{at: 5s, for: 4s, on: backup, fault: certificate, named: expired}")
        assert found.path == "faults[0].fault"
        assert "`backup` speaks plain HTTP" in found.message

    @pytest.mark.parametrize("kind", kinds_in(ActsIn.PROVIDER))
    def test_mailpit_plays_nothing(self, kind: str) -> None:
        attributes = KINDS[kind].examples[0].partition(f"fault: {kind}")[2]
        found = refused(f"{{at: 5s, for: 4s, on: pit, fault: {kind}{attributes}")
        assert "is Mailpit" in found.message

    def test_a_tenant_whose_account_is_not_on_this_route(self) -> None:
        found = refused("{at: 5s, for: 4s, on: primary, fault: hang, tenant: contso}")
        assert (found.path, found.meant) == ("faults[0].tenant", "contoso")
        assert "would hit nobody" in found.message
        assert not problems(scenario("{at: 5s, for: 4s, on: primary, fault: hang, tenant: contoso}"))
        assert "Give the route one" in refused("{at: 5s, for: 4s, on: backup, fault: hang, tenant: x}").advice

    def test_an_endpoint_that_it_does_not_have(self) -> None:
        found = refused("{at: 5s, for: 4s, on: graph.tokn, fault: outage}")
        assert (found.meant, found.choices) == ("graph.token", ("graph.token", "graph.events"))


class TestSideBySide:
    """Faults that are on at once must each be proved."""

    def test_of_two_in_one_provider_the_first_must_be_proved_before_the_next(self) -> None:
        first = "{at: 5s, for: 9s, on: primary, fault: refuse, code: 451, share: 50%}"
        again = "{at: AT, for: 2s, on: ON, fault: silent-drop}"
        for at, on, wrong in [
            ("5s", "primary", True),
            ("5.9s", "primary", True),
            ("6s", "primary", False),
            ("4s", "primary", False),
            ("5s", "backup", False),
        ]:
            found = problems(scenario(first, again.replace("AT", at).replace("ON", on)))
            assert bool(found) == wrong, (at, on)
        told = problem(scenario(first, again.replace("AT", "5.5s").replace("ON", "primary")))
        assert told.path == "faults[1]"
        assert "`refuse` (faults[0], from 5 s) is not proved yet" in told.message
        assert "Let it begin at 6 s or later" in told.advice

    def test_where_the_canary_waits_the_next_waits_longer(self) -> None:
        hang = "{at: 5s, for: 9s, on: primary, fault: hang, every: 2}"
        drop = "{at: 7s, for: 2s, on: primary, fault: silent-drop}"
        assert "Let it begin at 9 s" in problem(scenario(hang, drop)).advice
        assert not problems(scenario(hang, drop.replace("7s", "9s")))

    def test_a_status_is_no_fault_of_requests(self) -> None:
        busy = "{at: 5s, for: 9s, on: page, fault: refuse, code: 429}"
        assert not problems(scenario(busy, "{at: 5s, for: 9s, on: page, fault: status, named: major}"))

    def test_behind_a_greeting_that_never_comes_no_other_canary_gets_through(self) -> None:
        silent = "{at: 5s, for: 9s, on: primary, fault: hang, stage: connect}"
        late = "{at: 7s, for: 2s, on: primary, fault: latency, latency: 50ms}"
        assert "lies within `hang`" in problem(scenario(silent, late)).message
        assert not problems(scenario(silent.replace("connect", "data"), late))

    def test_a_cut_hides_what_lies_within_it(self) -> None:
        cut = "{at: 5s, for: 9s, on: primary, fault: cut, after: 10B}"
        late = "{at: 7s, for: 2s, on: primary, fault: slow-ack, delay: 1s}"
        assert "lies within `cut`" in problem(scenario(cut, late)).message
