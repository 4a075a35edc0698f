"""One provider's API, as the engine wants it: pure functions over plain data. Each method of a preset's API
gives the same bytes for the same arguments; it sees no socket, no clock and no journal.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from harness.providers.http.accounts import Accounts
from harness.providers.http.limits import Limit
from harness.providers.http.messages import (
    Allowance,
    Answer,
    Headers,
    HttpRequest,
    HttpRoute,
    LogicalMessage,
    Submission,
)
from harness.providers.wire import Account


class HttpApi(ABC):
    routes: Sequence[HttpRoute] = ()
    max_body_bytes: int = 30 * 1024 * 1024
    limits: Sequence[Limit] = ()  # each for one account
    throttled_s: Mapping[
        str, float
    ] = {}  # by endpoint: what each refusal there tells to wait, whatever is left
    secrets_at: str | None = ""  # the endpoint that accounts' secrets are presented to; None: to none
    announces: Sequence[str] = ()  # the states of an incident that its status page or health feed can tell of
    retry_after_header: str = "Retry-After"  # as the provider writes it: some clients heed the case
    idempotent_for_s: float | None = None  # how long an idempotency key is remembered; None: there is none

    @property
    def carries_mail(self) -> bool:
        """False where nothing can be sent, as to a status page: faults there are about what is asked."""
        return any(route.operation == "send" for route in self.routes)

    @abstractmethod
    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        """Whose credentials a request presents, if they are right."""

    @abstractmethod
    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        """The answer to credentials that are missing or open nothing here."""

    @abstractmethod
    def throttled(self, allowance: Allowance) -> Answer: ...

    def standing(self, allowance: Allowance) -> Headers:
        """What every answer to an account tells of its first limit on requests, where a provider does that. A
        header that the answer has already is left as it is."""
        return ()

    @abstractmethod
    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        """This status in the provider's own form, for a fault that names no answer of the provider's."""

    def error_beside(
        self, endpoint: str, status: int, text: str | None, retry_after_s: float | None
    ) -> Answer:
        """The same at an endpoint beside the main one."""
        return self.error(status, text, retry_after_s)

    @abstractmethod
    def too_large(self) -> Answer: ...

    @abstractmethod
    def not_found(self, request: HttpRequest) -> Answer: ...

    @abstractmethod
    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer: ...

    def read(self, request: HttpRequest) -> Submission:
        """What a whole request to send carries, and whether the provider would take it."""
        raise NotImplementedError(f"{type(self).__name__} has routes of operation `send` and reads nothing")

    def glimpse(self, request: HttpRequest) -> Submission:
        """What can be told from a request that did not come whole, or was too large to read."""
        raise NotImplementedError(f"{type(self).__name__} has routes of operation `send` and reads nothing")

    def accepted(self, request: HttpRequest, submission: Submission, ids: Sequence[str]) -> Answer:
        """The answer that takes responsibility. `ids`: for each message 32 hexadecimal digits, unique.

        Some messages may be `declined`. Where no other is left and the provider refuses the whole request
        then, this is that refusal.
        """
        raise NotImplementedError(f"{type(self).__name__} has routes of operation `send` and no answer")

    def query(self, request: HttpRequest, account: Account) -> Answer:
        """The answer to an authorised request that is no sending."""
        raise NotImplementedError(f"{type(self).__name__} has routes of operation `query` and no answer")

    def about(self, request: HttpRequest) -> str | None:
        """The id of the message that a query asks for, as the text of its receipt has it. The request that is
        answered then has it as `recalled`."""
        return None

    def open(self, request: HttpRequest, accounts: Accounts) -> Answer:
        """The answer to a request that needs no credentials, or holds them in its body."""
        raise NotImplementedError(f"{type(self).__name__} has routes of operation `open` and no answer")

    def addressed(self, answer: Answer, request: HttpRequest, submission: Submission) -> Answer:
        """A fault's answer to this very request: whose address or domain it names, where it names one."""
        return answer

    def dressed(self, answer: Answer, request: HttpRequest, attempt: str) -> Answer:
        """An answer with what the provider puts into each of its own: the time, an id of the request.
        `attempt` is this request's alone."""
        return answer

    def suppressed(self, message: LogicalMessage) -> Answer | None:
        """The refusal of a recipient who bounced or complained; None: such mail is taken and dropped."""
        return None

    def sender(self, request: HttpRequest) -> str | None:
        """Who sends, where a request says so beside its body."""
        return None

    def sdk_retry(self, request: HttpRequest) -> str | None:
        """What the client's library calls this call of its, the same in each of its hidden retries."""
        return None

    def idempotency_key(self, request: HttpRequest) -> str | None:
        return None

    def repeated(self, first: Answer) -> Answer:
        """The answer to the same request with the same idempotency key, which hands nothing over."""
        return first

    def conflicting(self, *, in_progress: bool) -> Answer:
        """The answer to a key that was used for another request, or whose first request is not done yet."""
        raise NotImplementedError(f"{type(self).__name__} has idempotency keys and no answer to a conflict")


def bearer(request: HttpRequest) -> str | None:
    """The secret behind `Authorization: Bearer`."""
    scheme, _, secret = request.header("authorization").strip().partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def basic(request: HttpRequest) -> tuple[str, str] | None:
    """User name and password behind `Authorization: Basic`."""
    scheme, _, encoded = request.header("authorization").strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:  # not ASCII, not base64, not UTF-8
        return None
    return (username, password) if colon else None


def media_type(request: HttpRequest) -> str:
    return request.header("content-type").partition(";")[0].strip().lower()


def retry_after(seconds: float | None) -> Headers:
    """The header as nearly all give it: whole seconds, at least one."""
    return () if seconds is None else (("Retry-After", str(max(1, round(seconds)))),)


def in_ns(seconds: float | None) -> int | None:
    """The same for the receipt."""
    return None if seconds is None else max(1, round(seconds)) * 1_000_000_000
