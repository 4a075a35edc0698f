"""What the exchanges of one listener share: whose credentials it takes, and what those accounts have used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.providers.http.accounts import Accounts, rotated
from harness.providers.http.limits import AccountUse, Limit, RateLimit, Window
from harness.providers.wire import Account, ProviderFault


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of a route's two listeners."""

    route: str
    endpoint: str
    accounts: Accounts
    rejecting: bool  # it knows who they are, and lets nobody in
    use_of: Callable[[str, Sequence[Limit]], AccountUse]  # whose it is, and of what
    throttles: Throttles

    def credentials(self) -> Accounts:
        """Every secret that is or will be right: who presents one of these says who it is."""
        later = [again for each in self.accounts.known if (again := rotated(each)) is not None]
        return Accounts([*self.accounts.known, *later])

    def valid(self, *, after_rotation: bool) -> Accounts:
        """What opens something now. A canary's secret is not rotated: it proves that the others' is."""
        if self.rejecting:
            return Accounts()
        if not after_rotation:
            return self.accounts
        return Accounts([again for each in self.accounts.known if (again := rotated(each)) is not None])


@dataclass(frozen=True)
class Throttles:
    """The limits that faults have put in place of an account's own, counted from when first met."""

    _uses: dict[tuple[ProviderFault, str], AccountUse] = field(default_factory=dict)

    def exceeds(self, fault: ProviderFault, account: Account | None, messages: int, now_s: float) -> bool:
        key = (fault, account.username if account else "")
        if key not in self._uses:
            self._uses[key] = AccountUse([_limit(fault)], now_s)
        return self._uses[key].take(messages, now_s) is not None


def _limit(fault: ProviderFault) -> RateLimit | Window:
    if fault.rate is not None:
        return RateLimit(rate_per_s=fault.rate, burst=fault.burst or max(1, round(fault.rate)))
    return Window(name="quota", count=fault.quota or 0, per_s=float("inf"), counts_messages=True)
