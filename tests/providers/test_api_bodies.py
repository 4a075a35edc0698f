"""Whatever is in a body, Mailgun, Postmark and Resend answer it, and each answer fits its receipts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.history.events import ReceiptResult
from harness.providers.http.api import HttpApi
from harness.providers.http.messages import HttpRequest, LogicalMessage, Submission
from harness.providers.http.scenario_rate import ScenarioRate
from harness.providers.presets.mailgun import MailgunApi
from harness.providers.presets.postmark import PostmarkApi
from harness.providers.presets.resend import ResendApi, ResendLimits

ADDRESSES = st.sampled_from(
    ["a@customer.example", "B <b@customer.example>", '"C, D" <c@d.example>', "x", "", ","]
)
SCALARS = st.none() | st.booleans() | st.integers() | ADDRESSES | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
VALUES = ADDRESSES | st.lists(ADDRESSES, max_size=3) | ANYTHING


def emails(*fields: str) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(fields, VALUES)) | ANYTHING


POSTMARK = emails("From", "To", "Cc", "Bcc", "Subject", "TextBody", "HtmlBody", "Headers", "Metadata", "Tag")
RESEND = emails(
    "from", "to", "cc", "bcc", "subject", "text", "html", "headers", "tags", "reply_to", "template"
)
FORMS = st.lists(
    st.tuples(
        st.sampled_from(["from", "to", "cc", "text", "h:X", "v:y", "o:tag", "recipient-variables"]),
        ADDRESSES | st.sampled_from(["{}", '{"a@customer.example": {"x": 1}}', "%recipient.x%"]),
    ),
    max_size=6,
)


def request(path: str, body: bytes, content_type: str = "application/json") -> HttpRequest:
    return HttpRequest(
        method="POST",
        path=path,
        path_params={"domain": "mg.shop.example"},
        headers={"content-type": content_type},
        body=body,
        now_s=1_790_000_000.0,
    )


def answered(api: HttpApi, asked: HttpRequest, is_suppressed: Callable[[LogicalMessage], bool]) -> None:
    """As the engine goes about it: what is declined is not asked again."""
    submission = api.read(asked)
    assert submission.messages
    if submission.declined is not None:
        assert submission.declined.result is not ReceiptResult.ACCEPTED
        return
    messages = [
        msgspec.structs.replace(each, declined=each.declined or api.suppressed(each))
        if is_suppressed(each)
        else each
        for each in submission.messages
    ]
    ids = [f"{number:032x}" for number in range(len(messages))]
    answer = api.accepted(asked, Submission(messages=messages), ids)
    assert len(answer.texts) in (0, len(messages))
    assert (answer.result is ReceiptResult.ACCEPTED) == (answer.status == 200)
    if answer.status != 200:
        assert all(each.declined is not None for each in messages)
    for message in messages:
        assert message.recipient is not None or message.declined is not None
    msgspec.json.decode(answer.body)


@settings(max_examples=300, deadline=None)
@given(
    content=POSTMARK | st.lists(POSTMARK, max_size=4),
    batch=st.booleans(),
    suppressed=st.sets(st.sampled_from("ab")),
)
def test_postmark(content: Any, batch: bool, suppressed: set[str]) -> None:
    api = PostmarkApi(ScenarioRate())
    asked = request("/email/batch" if batch else "/email", msgspec.json.encode(content))
    answered(api, asked, lambda message: (message.recipient or "?")[0] in suppressed)


@settings(max_examples=300, deadline=None)
@given(content=RESEND | st.lists(RESEND, max_size=4), batch=st.booleans(), permissive=st.booleans())
def test_resend(content: Any, batch: bool, permissive: bool) -> None:
    api = ResendApi(ResendLimits())
    asked = request("/emails/batch" if batch else "/emails", msgspec.json.encode(content))
    if permissive:
        asked.headers["x-batch-validation"] = "permissive"
    answered(api, asked, lambda message: True)


@settings(max_examples=300, deadline=None)
@given(fields=FORMS, mime=st.booleans())
def test_mailgun(fields: list[tuple[str, str]], mime: bool) -> None:
    path = "/v3/mg.shop.example/messages" + (".mime" if mime else "")
    asked = request(path, urlencode(fields).encode(), "application/x-www-form-urlencoded")
    answered(MailgunApi(ScenarioRate()), asked, lambda message: True)


@pytest.mark.parametrize(
    "api", [MailgunApi(ScenarioRate()), PostmarkApi(ScenarioRate()), ResendApi(ResendLimits())]
)
@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=80))
def test_bytes_of_any_kind(api: HttpApi, body: bytes) -> None:
    for route in api.routes:
        for content_type in (
            "application/json",
            "application/x-www-form-urlencoded",
            "",
            "multipart/form-data",
        ):
            assert api.read(request(route.path, body, content_type)).declined is not None
            assert api.glimpse(request(route.path, body, content_type)).messages
