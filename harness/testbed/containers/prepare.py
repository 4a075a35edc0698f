"""Makes the images of a run ready before it starts: the provider image built, the others pulled.

In: the engine and the environment. Out: the images that a run will use, by kind; or NotAvailable in one
sentence, and nothing was started. Progress goes to a console, which should be standard error's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from harness.testbed.containers import build, images
from harness.testbed.containers.engine import Engine, connect
from harness.testbed.containers.images import Image, Kind, Progress
from harness.testbed.containers.system_image import ensure_system_image
from harness.testbed.discover import NotAvailable

if TYPE_CHECKING:
    from rich.console import Console

    from harness.scenario.models import Scenario

NEEDED = (Kind.TOXIPROXY, Kind.MAILPIT, Kind.PROVIDER)
"""What every run on containers uses. The Python base is needed only to build the last."""


def find_images(engine: Engine, kinds: Iterable[Kind] = NEEDED) -> dict[Kind, Image | None]:
    """What the engine has of each kind; asks no registry and builds nothing."""
    return {
        kind: build.find_provider(engine)
        if kind is Kind.PROVIDER
        else images.find(engine, kind, images.pinned(kind))
        for kind in kinds
    }


def run_images(engine: Engine) -> dict[Kind, Image]:
    """The images of a run, which are there. Raises NotAvailable where one is not."""
    found = find_images(engine)
    for kind, image in found.items():
        if image is None:
            raise missing(kind)
    return {kind: image for kind, image in found.items() if image is not None}


def missing(kind: Kind) -> NotAvailable:
    """The sentence for an image that is not on the engine."""
    reference = images.configured(kind)
    if reference is None:
        return NotAvailable("the provider image is not built", "`harness images build`")
    if kind is Kind.PROVIDER:
        return NotAvailable(
            f"the provider image {reference} is not on the Docker engine",
            f"`docker pull` it, or leave out {kind.variable} to have one built",
        )
    return NotAvailable(f"the image {reference} is not on the Docker engine", "`harness images pull`")


def ensure_images(console: Console, scenarios: Iterable[Scenario] = ()) -> Mapping[Kind, Image]:
    """Have the images of a run on the engine: those that are absent are pulled, or built on first use.

    With them go those of the scenarios' own systems; a context of theirs is built each time.
    """
    with contextlib.closing(connect()) as engine:
        for kind, image in find_images(engine).items():
            if image is not None:
                continue
            if kind is Kind.PROVIDER and images.configured(kind) is None:
                ensure_provider(engine, console)
            else:
                pull(engine, kind, console)
        for scenario in scenarios:
            if scenario.system.container is not None:
                with _telling(console, f"the system of {scenario.scenario}") as tell:
                    ensure_system_image(engine, scenario, tell)
            if scenario.system.compose is not None:
                # Not at the top: it brings testcontainers, which takes its time.
                from harness.testbed.containers.system_compose import ensure_compose_images

                with _telling(console, f"the system of {scenario.scenario}") as tell:
                    ensure_compose_images(engine, scenario, tell)
        return run_images(engine)


def ensure_provider(engine: Engine, console: Console) -> Image:
    """The built provider image: built now where it is not there, and its base fetched first."""
    if images.find(engine, Kind.PYTHON, images.pinned(Kind.PYTHON)) is None:
        pull(engine, Kind.PYTHON, console)
    tag = build.provider_recipe(engine).tag
    built = images.find(engine, Kind.PROVIDER, tag)
    if built is None:
        with _telling(console, "building the provider image, once") as tell:
            built = build.build_provider(engine, tell)
        _say(console, f"built {tag}")
    return built


def pull(engine: Engine, kind: Kind, console: Console) -> Image:
    """Fetch an image from its registry. Raises NotAvailable in the engine's own words."""
    reference = images.pinned(kind)
    with _telling(console, f"pulling {reference}") as tell:
        images.pull(engine, reference, tell)
    found = images.find(engine, kind, reference)
    if found is None:
        raise missing(kind)
    _say(console, f"pulled {reference}")
    return found


@contextlib.contextmanager
def _telling(console: Console, what: str) -> Iterator[Progress]:
    """A line that changes on a terminal; elsewhere one line, so that a log says what took long."""
    if not console.is_terminal:
        _say(console, what)
        yield lambda _: None
        return
    from rich.markup import escape

    with console.status(what) as status:
        yield lambda now: status.update(f"{what} [dim]{escape(now)}[/]")


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False, markup=False)
