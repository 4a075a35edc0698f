"""What the provider image is made of, and the name that follows from it.

In: the harness's own files, from a checkout or an installed package alike, the versions that are installed
here of what a provider process imports, the base image. Out: a tag by content, so that an image is built
once; and the build's context as a tar.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import harness

REPOSITORY = "mail-failover-harness/provider"

_IMPORTS = (
    "aiosmtpd",
    "aiosmtplib",
    "cryptography",
    "h11",
    "httpx",
    "msgspec",
    "pydantic",
    "starlette",
    "uvicorn",
)
"""What `python -m harness.providers` imports; cryptography late, to sign events. No duckdb, no rich: a test
holds the image to that."""

_PACKAGE = Path(harness.__file__).parent
_DOCKERFILES = (
    _PACKAGE.parent / "fixtures/images/provider/Dockerfile",  # a checkout
    _PACKAGE / "testbed/containers/provider.Dockerfile",  # an installed package: put there by pyproject.toml
)
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True)
class Recipe:
    """All that goes into the provider image but the wheels' bytes, which its pins decide."""

    base: str
    """The reference of the base image."""
    base_id: str
    dockerfile: bytes
    package: dict[str, bytes]
    """The harness's files: path in the image's package folder -> content."""
    pins: tuple[str, ...]
    """`name==version`, sorted."""

    @property
    def tag(self) -> str:
        content = hashlib.sha256()
        for part in (self.base_id.encode(), self.dockerfile, *(pin.encode() for pin in self.pins)):
            content.update(len(part).to_bytes(8, "big") + part)
        for path, data in sorted(self.package.items()):
            content.update(path.encode() + b"\0" + hashlib.sha256(data).digest())
        return f"{REPOSITORY}:{content.hexdigest()[:16]}"

    def context(self, wheels: Sequence[Path]) -> bytes:
        """A tar for the engine: Dockerfile, package/, wheels/ with the list of what to install."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            _add(tar, "Dockerfile", self.dockerfile)
            for path, data in sorted(self.package.items()):
                _add(tar, f"package/{path}", data)
            for wheel in sorted(wheels):
                _add(tar, f"wheels/{wheel.name}", wheel.read_bytes())
            _add(tar, "wheels/requirements.txt", "\n".join(self.pins).encode() + b"\n")
        return buffer.getvalue()


def recipe(base: str, base_id: str) -> Recipe:
    """The recipe for a base image. Raises LookupError where a file or package of the harness is missing."""
    return Recipe(
        base=base,
        base_id=base_id,
        dockerfile=_dockerfile().read_bytes(),
        package={
            str(Path("harness") / path.relative_to(_PACKAGE)): path.read_bytes() for path in _package_files()
        },
        pins=pins(),
    )


def pins(roots: Sequence[str] = _IMPORTS) -> tuple[str, ...]:
    """The installed versions of `roots` and of all that they need.

    A requirement that is not installed is one that this Python does without, too: Windows's, an old
    Python's. The build imports everything, so that one which the base needs all the same is found out there.
    """
    found: dict[str, str] = {}
    todo = list(roots)
    while todo:
        name = normal(todo.pop())
        if name in found:
            continue
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name in roots:
                raise LookupError(f"the package {name} is not installed, and providers need it") from None
            continue
        found[name] = distribution.version
        todo += _needed_by(distribution)
    return tuple(f"{name}=={version}" for name, version in sorted(found.items()))


def _needed_by(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    for line in distribution.requires or ():
        requirement, _, marker = line.partition(";")
        name = _REQUIREMENT.match(requirement)
        if name and "extra" not in marker:
            yield name.group(1)


def normal(name: str) -> str:
    """A distribution's name as indexes compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _package_files() -> Iterator[Path]:
    yield _PACKAGE / "__init__.py"
    yield _PACKAGE / "history" / "__init__.py"
    yield _PACKAGE / "history" / "events.py"
    for path in sorted((_PACKAGE / "providers").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _dockerfile() -> Path:
    for path in _DOCKERFILES:
        if path.is_file():
            return path
    raise LookupError(f"the provider image's Dockerfile is not at {_DOCKERFILES[-1]}")


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)  # time 0 and root's: the same content is the same layer
    info.size = len(data)
    info.mode = 0o644
    tar.addfile(info, io.BytesIO(data))
