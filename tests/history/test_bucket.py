"""Histories in S3-compatible storage: what is fetched from a real server, and what is said where none is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest

from harness.cli import main
from harness.history.bucket import NothingStored, StorageClientMissing, StorageRefused, StorageUnreachable
from harness.history.errors import HistoryDamaged
from harness.history.store import History
from harness.history.synthesis.plan import Wanted
from harness.history.synthesis.write import synthesize
from tests.ports import free_port
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server that takes whoever asks, until it is told otherwise."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until(lambda: _answers(address), deadline_s=60)
            yield address
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    synthesize(Wanted(12_000, runs=2), folder / "made")
    return folder / "made"


@pytest.fixture(scope="module")
def stored(server: str, runs: Path) -> None:
    """The bucket `mail`: two runs below `runs/`, and what is no history."""
    client = boto3.client(
        "s3",
        endpoint_url=server,
        region_name="us-east-1",
        aws_access_key_id="anybody",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="mail")
    for name in ("synth-0001", "synth-0002"):
        client.upload_file(str(runs / name / "history.parquet"), "mail", f"runs/{name}/history.parquet")
    client.upload_file(str(runs / "truth.json"), "mail", "runs/truth.json")
    client.upload_file(str(runs / "truth.json"), "mail", "other/broken.parquet")
    client.close()


@pytest.fixture(autouse=True)
def asked_by_anybody(server: str, stored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("s3://mail/runs/synth-0002/history.parquet", ["synth-0002"]),
        ("s3://mail/runs/*1/history.parquet", ["synth-0001"]),
        ("s3://mail/runs/*/history.parquet", ["synth-0001", "synth-0002"]),
        ("s3://mail/runs", ["synth-0001", "synth-0002"]),
        ("s3://mail/runs/", ["synth-0001", "synth-0002"]),
    ],
)
def test_a_file_a_pattern_and_a_prefix_are_the_runs_below_them(address: str, names: list[str]) -> None:
    with History.open(address) as history:
        assert history.runs() == names


def test_what_was_fetched_is_what_lies_there(runs: Path) -> None:
    query = "select * exclude (message) from fates order by run, token"
    with History.open("s3://mail/runs") as fetched, History.open(runs) as here:
        assert fetched.con.execute(query).fetchall() == here.con.execute(query).fetchall()


def test_a_run_in_a_bucket_is_judged_beside_one_that_is_here(runs: Path) -> None:
    places = ["s3://mail/runs/synth-0001/history.parquet", str(runs / "synth-0002")]
    with History.open(places) as history:
        assert history.runs() == ["synth-0001", "synth-0002"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://male/runs", "the bucket male does not exist"),
        ("s3://male/runs/history.parquet", "bucket male does not exist"),
        ("s3://mail/other/*/history.parquet", "holds no such Parquet file"),
        ("s3://mail/runs/history.parquet", "holds no such Parquet file"),
        ("s3:///runs", "names no bucket"),
        ("s3://", "names no bucket"),
    ],
)
def test_what_is_not_there_is_said_to_be_missing(address: str, said: str) -> None:
    with pytest.raises(NothingStored, match=said):
        History.open(address)


def test_an_object_that_is_no_history_is_named_by_its_address() -> None:
    with pytest.raises(HistoryDamaged, match=r"s3://mail/other/broken\.parquet is no Parquet file"):
        History.open("s3://mail/other")


@pytest.fixture
def nobody_known(server: str) -> Iterator[None]:
    """The server looks at who asks, and knows no one."""
    httpx.post(f"{server}/moto-api/reset-auth", content="0").raise_for_status()
    yield
    httpx.post(f"{server}/moto-api/reset-auth", content="inf").raise_for_status()


@pytest.mark.parametrize("address", ["s3://mail/runs", "s3://mail/runs/synth-0001/history.parquet"])
def test_refused_credentials_name_the_variables(nobody_known: None, address: str) -> None:
    with pytest.raises(StorageRefused, match="may not be read") as caught:
        History.open(address)
    assert "AWS_ACCESS_KEY_ID" in caught.value.do


def test_no_credentials_at_all_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageRefused, match="Unable to locate credentials"):
        History.open("s3://mail/runs")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "nonsense"])
def test_where_nobody_answers_the_endpoint_is_named(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    with pytest.raises(StorageUnreachable, match=endpoint) as caught:
        History.open("s3://mail/runs")
    assert "AWS_ENDPOINT_URL_S3" in caught.value.do


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(StorageClientMissing, match="is not installed") as caught:
        History.open("s3://mail/runs")
    assert "mail-failover-harness[s3]" in caught.value.do


def test_on_the_command_line_that_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(*arguments: str) -> int | str | None:
        with pytest.raises(SystemExit) as ending:
            main(arguments)
        return ending.value.code

    assert ended("check", "s3://mail/runs", "-q") == 0
    assert capsys.readouterr().out.count("PASS") == 2
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert ended("check", "s3://mail/runs", "-q") == 2
    assert "pip install 'mail-failover-harness[s3]'" in capsys.readouterr().err
