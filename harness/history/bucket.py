"""Histories in S3-compatible storage: an `s3://` address in, local copies of its Parquet files out.

Each object is fetched once, before anything is asked: the checks ask some hundred questions, and most of them
read every event. Where the service is and who asks is said by the usual AWS_ variables and files, as
botocore reads them. The client is an extra: few need it, and it is large.
"""

from __future__ import annotations

import re
from pathlib import Path

from harness.history.errors import HistoryError, HistoryNotFound
from harness.history.sources import BUCKET

_CONNECT_S = 5
_ATTEMPTS = 2


class StorageClientMissing(HistoryError):
    """What reads S3-compatible storage is not installed."""

    do = "pip install 'mail-failover-harness[s3]', or copy the files here"


class NothingStored(HistoryNotFound):
    """There is no such bucket, or no such object in it."""

    do = (
        "name a Parquet file, a pattern of them or what their names begin with (s3://BUCKET/PREFIX); "
        "AWS_ENDPOINT_URL_S3 says whose bucket it is"
    )


class StorageRefused(HistoryError):
    """The service is there, and does not let this one read."""

    do = (
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, or AWS_PROFILE) to those of "
        "somebody who may list and read the bucket; AWS_ENDPOINT_URL_S3 says whose bucket it is"
    )


class StorageUnreachable(HistoryError):
    """Nobody answers, or not as S3-compatible storage does."""

    do = "check AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL; unset it for Amazon's own service) and the network"


def fetch(address: str, folder: Path) -> list[tuple[Path, str]]:
    """Copies in `folder` of what `address`, perhaps a pattern, names; each with its own address, in order.

    Raises StorageClientMissing, StorageRefused, StorageUnreachable, NothingStored.
    """
    bucket = address.removeprefix(BUCKET).partition("/")[0]
    if not bucket:
        raise NothingStored(f"{address} names no bucket; say s3://BUCKET/PREFIX")
    try:
        import boto3
        import botocore.exceptions as botocore
        from botocore.config import Config
    except ImportError as error:
        raise StorageClientMissing(
            f"{address} lies in S3-compatible storage, and what reads it is not installed ({error})"
        ) from error
    try:
        config = Config(connect_timeout=_CONNECT_S, retries={"total_max_attempts": _ATTEMPTS})
        # A session of its own: another time there may be other credentials.
        storage = boto3.session.Session().client("s3", config=config)
        pattern = _pattern(address)
        pages = storage.get_paginator("list_objects_v2").paginate(
            Bucket=bucket,
            Prefix=re.split(r"[*?]", address.removeprefix(f"{BUCKET}{bucket}/"), maxsplit=1)[0],
        )
        listed = (f"{BUCKET}{bucket}/{each['Key']}" for page in pages for each in page.get("Contents", []))
        found = sorted(name for name in listed if pattern.fullmatch(name))
        if not found:
            raise NothingStored(
                f"there is no history at {address}: the bucket {bucket} holds no such Parquet file"
            )
        copies = [folder / f"fetched-{number}.parquet" for number in range(len(found))]
        for name, copy in zip(found, copies, strict=True):
            storage.download_file(bucket, name.removeprefix(f"{BUCKET}{bucket}/"), str(copy))
    except (botocore.NoCredentialsError, botocore.PartialCredentialsError) as error:
        raise StorageRefused(f"{address} may not be read: {error}") from error
    except botocore.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code == "NoSuchBucket":
            raise NothingStored(
                f"there is no history at {address}: the bucket {bucket} does not exist"
            ) from error
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (400, 401, 403):
            raise StorageRefused(f"{address} may not be read: {error}") from error
        raise StorageUnreachable(f"{address} cannot be read: {error}") from error
    # botocore calls an endpoint that is no address a ValueError.
    except (OSError, ValueError, botocore.BotoCoreError) as error:
        raise StorageUnreachable(f"{address} cannot be read: {error}") from error
    return list(zip(copies, found, strict=True))


def _pattern(address: str) -> re.Pattern[str]:
    """`**/` is any number of folders, or none; `*` and `?` stay in one."""
    words = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(words.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*|\?)", address) if part)
    )
