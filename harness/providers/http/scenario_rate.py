"""The limits of a provider that publishes none: there is none unless the scenario sets one."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.providers.http.limits import RateLimit


class ScenarioRate(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float | None = Field(default=None, gt=0, description="requests per second, for one account")
    burst: int | None = Field(default=None, ge=1, description="requests at once; default: one second's worth")

    @model_validator(mode="after")
    def _burst_needs_rate(self) -> ScenarioRate:
        if self.burst is not None and self.rate is None:
            raise ValueError("burst without rate limits nothing; give a rate as well")
        return self

    def each(self) -> list[RateLimit]:
        """As an API has them."""
        if self.rate is None:
            return []
        return [RateLimit(rate_per_s=self.rate, burst=self.burst or math.ceil(self.rate))]
