"""Builds the provider image, once for each content: the same files, versions and base are the same image.

In: an engine with the base image. Out: the image under its tag. A lock in the user's cache keeps two
processes from building the same one; an interrupted build leaves nothing, since the engine gives up when its
client goes.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator

from harness.testbed.containers import build_log, images
from harness.testbed.containers.build_context import Recipe, recipe
from harness.testbed.containers.build_wheels import cache_folder, target_of, wheels
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import Image, Kind, Progress
from harness.testbed.discover import NotAvailable


def provider_recipe(engine: Engine) -> Recipe:
    """What the provider image would be made of here. Raises NotAvailable where its base is not."""
    reference = images.pinned(Kind.PYTHON)
    base = images.find(engine, Kind.PYTHON, reference)
    if base is None:
        raise NotAvailable(
            f"the provider image cannot be built: its base {reference} is not on the Docker engine",
            "`harness images pull`, or name another base in HARNESS_IMAGE_PYTHON",
        )
    try:
        return recipe(reference, base.id)
    except LookupError as error:
        raise NotAvailable(
            f"the provider image cannot be built: {error.args[0]}", "install the harness again"
        ) from error


def find_provider(engine: Engine) -> Image | None:
    """The provider image that would be used: the one that was named, else the built one; None if not here."""
    named = images.configured(Kind.PROVIDER)
    if named:
        return images.find(engine, Kind.PROVIDER, named)
    with contextlib.suppress(NotAvailable):
        return images.find(engine, Kind.PROVIDER, provider_recipe(engine).tag)
    return None


def build_provider(engine: Engine, progress: Progress) -> Image:
    """The built provider image, built now if it is not there. Raises NotAvailable with the last lines."""
    wanted = provider_recipe(engine)
    with _alone(wanted.tag.rpartition(":")[2], progress):
        found = images.find(engine, Kind.PROVIDER, wanted.tag)
        if found is not None:
            return found
        progress(f"asking {wanted.base} which Python it has")
        target = target_of(engine, wanted.base)
        progress(f"fetching {len(wanted.pins)} wheels for Python {target.python}")
        context = wanted.context(wheels(wanted.pins, target))
        _build(engine, wanted, context, progress)
        built = images.find(engine, Kind.PROVIDER, wanted.tag)
    if built is None:
        raise NotAvailable(f"the engine built {wanted.tag} and has it not", "see `docker images`; try again")
    return built


def _build(engine: Engine, wanted: Recipe, context: bytes, progress: Progress) -> None:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        answers = engine.client.api.build(
            fileobj=context,
            custom_context=True,
            tag=wanted.tag,
            buildargs={"BASE": wanted.base},
            network_mode="none",
            rm=True,
            forcerm=True,
            decode=True,
        )
        said = build_log.follow(answers, progress)
    except (DockerException, RequestException, OSError) as error:
        raise NotAvailable(
            f"the provider image could not be built: {error}", "see `harness doctor`"
        ) from error
    if said is not None:
        raise NotAvailable(
            f"the provider image could not be built; the engine's last lines:\n  {said}",
            "see that HARNESS_IMAGE_PYTHON names an image with Python 3.11 or newer, or name a ready image "
            "in HARNESS_IMAGE_PROVIDER",
        )


@contextlib.contextmanager
def _alone(what: str, progress: Progress) -> Iterator[None]:
    """Held by one process at a time; a killed one lets go."""
    folder = cache_folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / what).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another process is building it: waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
