"""The images that a run needs: pinned here and nowhere else, each to be replaced by an environment variable.

In: a reference (`axllent/mailpit:v1.27.11`, or with `@sha256:…`). Out: what the engine has under it, its id
and digests, for the history; or nothing, where it is not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.testbed.containers.engine import Engine
from harness.testbed.discover import NotAvailable


class Kind(StrEnum):
    TOXIPROXY = "toxiproxy"
    MAILPIT = "mailpit"
    PYTHON = "python"
    PROVIDER = "provider"

    @property
    def variable(self) -> str:
        """The environment variable that names another image of this kind."""
        return f"HARNESS_IMAGE_{self.name}"

    @property
    def purpose(self) -> str:
        return _PURPOSES[self]


PINNED = {
    Kind.TOXIPROXY: "ghcr.io/shopify/toxiproxy:2.12.0",
    Kind.MAILPIT: "axllent/mailpit:v1.27.11",
    Kind.PYTHON: "python:3.12-slim",
}
"""Images of other projects. The provider image is the project's own, and built (build.py)."""

Progress = Callable[[str], None]
"""Told, in a few words, what is being done now."""

_PURPOSES = {
    Kind.TOXIPROXY: "the proxy of every endpoint",
    Kind.MAILPIT: "the inbox, and providers with `fake: mailpit`",
    Kind.PYTHON: "what the provider image is built on",
    Kind.PROVIDER: "the fake providers",
}


@dataclass(frozen=True)
class Image:
    """An image that is on the engine."""

    kind: Kind
    reference: str
    id: str
    digests: tuple[str, ...]
    """By which registries know it; empty for an image that was built here."""
    size_bytes: int

    def as_json(self) -> dict[str, object]:
        """For the history: what exactly was run."""
        return {"image": self.reference, "id": self.id, "digests": list(self.digests)}


def configured(kind: Kind, environ: Mapping[str, str] | None = None) -> str | None:
    """The reference for a kind: the environment's, else the pinned one; None for a provider to be built."""
    environ = os.environ if environ is None else environ
    return environ.get(kind.variable) or PINNED.get(kind)


def pinned(kind: Kind) -> str:
    """The reference for a kind that is not built here."""
    return configured(kind) or PINNED[kind]


def find(engine: Engine, kind: Kind, reference: str) -> Image | None:
    """What the engine has under a reference, without asking any registry."""
    from docker.errors import ImageNotFound

    try:
        found = engine.client.images.get(reference)
    except ImageNotFound:
        return None
    return Image(
        kind=kind,
        reference=reference,
        id=str(found.id),
        digests=tuple(found.attrs.get("RepoDigests") or ()),
        size_bytes=int(found.attrs.get("Size") or 0),
    )


def pull(engine: Engine, reference: str, progress: Progress) -> None:
    """Fetch an image from its registry. Raises NotAvailable in the engine's own words."""
    from docker.errors import DockerException
    from docker.utils import parse_repository_tag
    from requests.exceptions import RequestException

    repository, tag = parse_repository_tag(reference)
    try:
        # Without a tag docker-py would fetch every one there is.
        error = ""
        # To the end, after an error too: a stream left half read is never closed.
        for answer in engine.client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            error = str(answer.get("error", error))
            progress(f"{answer.get('status', '')} {answer.get('progress', '')}".strip())
    except (DockerException, RequestException, OSError) as failure:
        raise _not_pulled(reference, str(getattr(failure, "explanation", None) or failure)) from failure
    if error:
        raise _not_pulled(reference, error)


def _not_pulled(reference: str, said: str) -> NotAvailable:
    return NotAvailable(
        f"the image {reference} is not on the Docker engine and cannot be pulled: {said.strip()}",
        "load it (`docker load`), build it (`make images`), or name another one (`harness images list`)",
    )
