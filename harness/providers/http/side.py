"""What the exchanges of one listener share: whose credentials it takes, and what those accounts have used."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.providers.http.accounts import Accounts, rotated
from harness.providers.http.board import Board
from harness.providers.http.limits import AccountUse, Exhausted, Limit, RateLimit, Window
from harness.providers.wire import Account, ProviderFault


class Side:
    """One of a route's two listeners on one endpoint; the `rejecting` one knows who they are, and lets nobody
    in. `use_of` finds what an account has used of its limits: by whose, and of what. `board` is the route's,
    as all its listeners have it."""

    def __init__(
        self,
        *,
        route: str,
        endpoint: str,
        accounts: Accounts,
        rejecting: bool,
        use_of: Callable[[str, Sequence[Limit]], AccountUse],
        board: Board,
    ) -> None:
        self.route = route
        self.endpoint = endpoint
        self.use_of = use_of
        self.board = board
        self.throttles = Throttles()
        later = Accounts([again for each in accounts.known if (again := rotated(each)) is not None])
        # Every secret that is or will be right: who presents one of these says who it is.
        self.credentials = Accounts([*accounts.known, *later.known])
        nobody = Accounts()
        self._now, self._later = (nobody, nobody) if rejecting else (accounts, later)

    def valid(self, *, after_rotation: bool) -> Accounts:
        """What opens something now. The canary goes on with its old secret, and so proves a rotation."""
        return self._later if after_rotation else self._now


class Throttles:
    """The limits that faults have put in place of an account's own, counted from when first met."""

    def __init__(self) -> None:
        self._uses: dict[tuple[ProviderFault, str], AccountUse] = {}

    def refusal(
        self, fault: ProviderFault, account: Account | None, messages: int, now_s: float
    ) -> Exhausted | None:
        """What a request exceeds, or None; it is counted."""
        key = (fault, account.username if account else "")
        if key not in self._uses:
            self._uses[key] = AccountUse([_limit(fault)], now_s)
        return self._uses[key].take(messages, now_s)


def _limit(fault: ProviderFault) -> RateLimit | Window:
    if fault.rate is not None:
        return RateLimit(rate_per_s=fault.rate, burst=fault.burst or max(1, round(fault.rate)))
    return Window(name="quota", count=fault.quota or 0, per_s=float("inf"), counts_messages=True)
