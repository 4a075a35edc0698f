"""A Docker engine that cannot be used is told in one sentence, with what to do, within two seconds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.testbed.containers.engine import (
    MINIMUM_API,
    Engine,
    EngineMissing,
    connect,
    docker_host,
    settle_testcontainers,
)
from tests.ports import free_port

Stub = Callable[[str, object], str]

CONNECT = """
from harness.testbed.containers.engine import EngineMissing, connect
try:
    connect()
except EngineMissing as error:
    print(error, error.do, sep="\\n")
"""


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """An engine that answers every request alike, on a socket of its own; DOCKER_HOST leads there."""
    with contextlib.ExitStack() as open_:

        def serve(status: str, body: object) -> str:
            address = tmp_path / "docker.sock"
            listener = open_.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(address))
            listener.listen()
            answer = body if isinstance(body, str) else json.dumps(body)

            def answer_all() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        connection, _ = listener.accept()
                        with connection:
                            if not connection.recv(65536):
                                continue  # somebody who only knocked
                            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
                            head += f"Content-Length: {len(answer)}\r\nConnection: close\r\n\r\n"
                            connection.sendall((head + answer).encode())

            thread = threading.Thread(target=answer_all, daemon=True)
            thread.start()
            open_.callback(thread.join, 5)
            open_.callback(listener.shutdown, socket.SHUT_RDWR)
            host = f"unix://{address}"
            monkeypatch.setenv("DOCKER_HOST", host)
            return host

        yield serve


def refused() -> EngineMissing:
    began = time.monotonic()
    with pytest.raises(EngineMissing) as caught:
        connect()
    assert time.monotonic() - began < 3
    assert "\n" not in str(caught.value)
    assert caught.value.do
    return caught.value


def test_a_real_engine_is_found_quickly(docker: Engine) -> None:
    began = time.monotonic()
    with contextlib.closing(connect()) as engine:
        assert time.monotonic() - began < 2
        assert engine.client.ping()
        assert tuple(map(int, engine.api_version.split("."))) >= MINIMUM_API


def test_no_socket_is_docker_not_installed_or_not_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert str(refused()).startswith("Docker is not installed: there is no unix://")
    (tmp_path / "docker").write_text("#!/bin/sh\n")
    (tmp_path / "docker").chmod(0o755)
    error = refused()
    assert str(error).startswith("the Docker engine is not running: there is no unix://")
    assert "systemctl start docker" in error.do


def test_a_socket_that_nobody_serves_is_an_engine_that_is_not_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "docker.sock"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    assert "the Docker engine is not running" in str(refused())


def test_a_port_that_nobody_serves_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
    assert f"the Docker engine is not running: tcp://127.0.0.1:{port} refuses connections" in str(refused())


def test_a_socket_that_this_user_may_not_open_is_permission_denied(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(str(tmp_path / "docker.sock"))
        served.listen()
        (tmp_path / "docker.sock").chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", _as_nobody(tmp_path) + CONNECT],
            env=os.environ | {"DOCKER_HOST": f"unix://{tmp_path}/docker.sock", "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stderr == ""
    said, do = done.stdout.splitlines()
    assert (
        said == f"this user may not use the Docker engine at unix://{tmp_path}/docker.sock: permission denied"
    )
    assert "group `docker`" in do


def _as_nobody(folder: Path) -> str:
    """Root may open any socket: the question is asked by a process that has given root up."""
    if os.getuid() != 0:
        return ""
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    # Imported first: nobody may not be allowed to read the project.
    imports = "import docker, os, testcontainers.core.docker_client, harness.testbed.containers.engine"
    return f"{imports}\nos.setuid(65534)\n"


def test_an_engine_that_does_not_answer_is_given_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
        assert "did not answer within 2 s" in str(refused())


def test_an_engine_that_is_too_old_is_told_what_is_needed(stub: Stub) -> None:
    host = stub("200 OK", {"Version": "18.06", "ApiVersion": "1.38", "Os": "linux"})
    error = refused()
    assert str(error) == f"the Docker engine at {host} is too old: it speaks API 1.38, and a run needs 1.41"
    assert "20.10" in error.do


def test_an_engine_that_finds_the_client_too_old_is_quoted(stub: Stub) -> None:
    said = "client version 1.41 is too old. Minimum supported API version is 1.44"
    stub("400 Bad Request", {"message": said})
    assert f"answers with an error: {said}" in str(refused())


def test_an_engine_in_trouble_is_quoted(stub: Stub) -> None:
    stub("500 Internal Server Error", {"message": "the disk is gone"})
    assert "answers with an error: the disk is gone" in str(refused())


@pytest.mark.parametrize("answer", ["hello", "[]", "{}", {"ApiVersion": "new"}])
def test_something_else_on_the_socket_is_no_engine(stub: Stub, answer: object) -> None:
    stub("200 OK", answer)
    error = refused()
    assert "is not a Docker engine" in str(error)
    assert "DOCKER_HOST" in error.do


def test_an_engine_for_windows_containers_will_not_do(stub: Stub) -> None:
    stub("200 OK", {"Version": "27", "ApiVersion": "1.46", "Os": "windows"})
    assert "runs windows containers" in str(refused())


@pytest.mark.parametrize("host", ["tcp://192.0.2.1:2375", "ssh://user@docker.invalid"])
def test_an_engine_elsewhere_is_refused_and_not_asked(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert f"the Docker engine at {host} is on another machine" in str(refused())


def test_the_context_is_honoured_where_docker_host_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "docker"
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    meta = config / "contexts" / "meta" / hashlib.sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    endpoint = {"docker": {"Host": "unix:///run/mine.sock", "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(json.dumps({"Name": "mine", "Metadata": {}, "Endpoints": endpoint}))
    (config / "config.json").write_text(json.dumps({"currentContext": "mine"}))
    assert docker_host() == "unix:///run/mine.sock"


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    error = refused()
    assert str(error) == "Docker cannot be used: the extra `containers` is not installed"
    assert error.do == "pip install 'mail-failover-harness[containers]'"


class TestTestcontainers:
    @pytest.fixture(autouse=True)
    def config(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from testcontainers.core.config import testcontainers_config as config

        for name in (
            "ryuk_image",
            "hub_image_name_prefix",
            "_ryuk_disabled",
            "_docker_auth_config",
            "tc_host_override",
        ):
            monkeypatch.setattr(config, name, getattr(config, name))
        config._ryuk_disabled = None

    def test_ryuk_is_not_waited_for_where_its_image_is_absent(self, docker: Engine) -> None:
        from testcontainers.core.config import testcontainers_config as config

        config.ryuk_image = "registry.invalid/ryuk:none"
        assert not settle_testcontainers(docker)
        assert config.ryuk_disabled

    def test_no_registry_is_asked_for_a_login(self, docker: Engine) -> None:
        from testcontainers.core.config import testcontainers_config as config
        from testcontainers.core.docker_client import DockerClient

        config._docker_auth_config = json.dumps({"auths": {"registry.invalid": {"auth": "dTpw"}}})
        config.hub_image_name_prefix = "registry.invalid/"
        settle_testcontainers(docker)
        assert config.hub_image_name_prefix == ""
        DockerClient().client.close()
