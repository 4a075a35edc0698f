"""One provider, running: configuration, clock and sink in; bound ports and a control API out.

`serve` has no globals, environment or threads, and knows no time but the loop's. `python -m
harness.providers` wraps it in a process; a simulation calls it as it is.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import BaseModel, ValidationError

from harness.providers import presets
from harness.providers.aftermath import Aftermath
from harness.providers.asgi import AsgiListener, listen
from harness.providers.bodies import BodyPack, FilePack, MemoryPack
from harness.providers.clock import Clock
from harness.providers.control import control_app
from harness.providers.errors import ConfigError
from harness.providers.faults import FaultTable
from harness.providers.ids import SeededIds
from harness.providers.ledger import Ledger, Sink
from harness.providers.preset import Context, Engine, Preset
from harness.providers.webhooks import Webhooks
from harness.providers.wire import ProviderConfig, Ready


class RunningProvider:
    def __init__(
        self,
        *,
        ready: Ready,
        context: Context,
        engine: Engine,
        events: Webhooks,
        control: AsgiListener,
    ) -> None:
        self.ready = ready
        self.ledger = context.ledger
        self.faults = context.faults
        self.pack = context.pack
        self._engine = engine
        self._events = events
        self._control = control
        self._owned_pack = context.pack if isinstance(context.pack, FilePack) else None

    @property
    def engine(self) -> Engine:
        return self._engine

    async def close(self) -> None:
        """End every connection, write what that says, then end the followers and the control API."""
        await self._engine.close()
        await self._events.close()
        self.ledger.close()
        await self._control.close()
        if self._owned_pack is not None:
            self._owned_pack.close()


async def serve(
    config: ProviderConfig, clock: Clock, sink: Sink, stop: asyncio.Event | None = None
) -> RunningProvider:
    """Start a provider; returns once every port is bound. `stop` is set when POST /shutdown asks for the end.

    Raises ConfigError, and leaves nothing open, when the configuration cannot be served.
    """
    preset = presets.load(config.preset)
    if preset.events is None and any(listener.events_url for listener in config.listeners):
        raise ConfigError(f"preset {preset.name} posts no events, so no route of it can have an events_url")
    limits = check_limits(preset, config.limits)
    pack: BodyPack = FilePack(Path(config.pack_path)) if config.pack_path else MemoryPack()
    ledger = Ledger(config.name, clock, sink)
    ids = SeededIds(config.seed, config.name)
    routes = [listener.route for listener in config.listeners]
    faults = FaultTable(preset.place_fault, routes, config.seed, clock.wall_s)
    events = _events(preset, config, clock, ledger)
    context = Context(
        config=config,
        clock=clock,
        ledger=ledger,
        pack=pack,
        faults=faults,
        limits=limits,
        ids=ids,
        aftermath=Aftermath(preset.events, events, clock=clock, ledger=ledger, ids=ids, faults=faults),
    )
    engine = preset.build(context)  # touches nothing yet
    try:
        listeners = await engine.start()
        app = control_app(
            ledger=ledger,
            faults=context.faults,
            clock=clock,
            engine=engine,
            events=events,
            stop=stop or asyncio.Event(),
        )
        control = await listen(app, config.control_host, config.control_port)
    except BaseException:
        await engine.close()
        if isinstance(pack, FilePack):
            pack.close()
        raise
    ready = Ready(provider=config.name, control_port=control.port, listeners=listeners)
    return RunningProvider(ready=ready, context=context, engine=engine, events=events, control=control)


def _events(preset: Preset, config: ProviderConfig, clock: Clock, ledger: Ledger) -> Webhooks:
    urls = {each.route: each.events_url for each in config.listeners if each.events_url is not None}
    secrets = {each.route: each.events_secret for each in config.listeners}
    return Webhooks(preset.events, urls, secrets, clock=clock, ledger=ledger)


def check_limits(preset: Preset, limits: dict[str, float | int]) -> BaseModel:
    """`limits:` as the preset's own model; raises ConfigError that names the key and the valid ones."""
    try:
        return preset.limits.model_validate(limits)
    except ValidationError as error:
        details = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        valid = ", ".join(preset.limits.model_fields) or "none"
        raise ConfigError(f"limits of preset {preset.name}: {details}. Valid limits: {valid}") from error
