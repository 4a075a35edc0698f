"""A preset of the HTTP engine: what describes it, and the API that answers like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

from pydantic import BaseModel

from harness.providers.credentials import CredentialShape
from harness.providers.errors import FaultRefused
from harness.providers.faults import FaultType, Placed
from harness.providers.http.answers import place
from harness.providers.http.api import HttpApi
from harness.providers.http.engine import HttpEngine
from harness.providers.http.messages import Answer, Operation
from harness.providers.outgoing import Outgoing
from harness.providers.preset import ApiCanary, Ask, Context
from harness.providers.webhooks import EventShape
from harness.providers.wire import ProviderFault


@dataclass(frozen=True, kw_only=True)
class HttpPreset:
    """`api` makes the API from the preset's limits and the provider's seed. A `scheme` that ends with
    `+https` is for providers whose clients refuse to present a credential in the clear.

    A preset whose API has endpoints beside the main one says in `endpoint_canaries` what the harness's canary
    asks each of them, and in `real_hosts` which of the provider's host names is which.
    """

    name: str
    summary: str
    dated: date
    scheme: str
    limits: type[BaseModel]
    named: Mapping[str, Answer]
    api: Callable[[Any, int], HttpApi]
    canary: ApiCanary
    credential: CredentialShape
    events: EventShape | None = None
    endpoint_canaries: Mapping[str, Ask] = field(default_factory=dict)
    real_hosts: Mapping[str, str] = field(default_factory=dict)
    outgoing: Outgoing | None = None
    engine: str = "http"

    @property
    def answers(self) -> Mapping[str, str]:
        return {name: f"{each.status} {each.text or each.body.decode()}" for name, each in self.named.items()}

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Those beside the main one."""
        routes = self._described().routes
        return tuple(dict.fromkeys(route.endpoint for route in routes if route.endpoint))

    @property
    def carries_mail(self) -> bool:
        return self._described().carries_mail

    def place_fault(self, fault: ProviderFault) -> Placed[Answer]:
        """Stage and answer of a fault; raises FaultRefused with the valid choices."""
        api = self._described()
        _check_endpoint(fault, self.name, api)
        return place(
            fault,
            self.name,
            self.named,
            partial(api.error_beside, fault.endpoint) if fault.endpoint else api.error,
            self.endpoints,
            announces=api.announces,
            events=self.events is not None,
        )

    def build(self, context: Context) -> HttpEngine:
        return HttpEngine(context, self.api(context.limits, context.config.seed))

    def _described(self) -> HttpApi:
        return self.api(self.limits(), 0)


def _check_endpoint(fault: ProviderFault, preset: str, api: HttpApi) -> None:
    """Refuse a fault at an endpoint where it would do nothing."""
    where = f"endpoint {fault.endpoint!r}" if fault.endpoint else "its main endpoint"
    if fault.type == FaultType.KEY_ROTATED and fault.endpoint != api.secrets_at:
        there = f"endpoint {api.secrets_at!r}" if api.secrets_at else "the main one"
        hint = "none takes any" if api.secrets_at is None else f"{there} does"
        raise FaultRefused(f"{where} of preset {preset} takes no secret that could be rotated: {hint}")
    if fault.type == FaultType.STATUS and fault.endpoint:
        raise FaultRefused(f"{where} of preset {preset} tells of no incidents: the main one does")
    takes_mail = any(
        route.operation is Operation.SEND and route.endpoint == fault.endpoint for route in api.routes
    )
    if fault.type == FaultType.SILENT_DROP and not takes_mail:
        raise FaultRefused(f"{where} of preset {preset} takes no messages that could be dropped")
