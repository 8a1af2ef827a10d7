"""The address of a storage for copies of runs: a folder, or a bucket that speaks S3."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from foundation.did_you_mean import check_name

OPTIONS = ("endpoint", "region")
FORM = "write a folder, or s3://BUCKET/FOLDER?endpoint=http://HOST:PORT&region=NAME"


@dataclass(frozen=True)
class Bucket:
    """A place in a bucket. endpoint: "http://HOST:PORT"; None: Amazon's, or AWS_ENDPOINT_URL."""

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None


def storage_address(text: str) -> Path | Bucket:
    """The folder or bucket that an address names. Raises ValueError for any other address."""
    if "://" not in text:
        return Path(text)
    parts = urlsplit(text)
    if parts.scheme != "s3":
        raise ValueError(f"{parts.scheme:.20}:// is not known: {FORM}")
    if "@" in parts.netloc or parts.port is not None:
        raise ValueError(
            "keep keys out of the address, in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and a "
            f"server's address in ?endpoint=: {FORM}"
        )
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts.netloc):
        raise ValueError(f"{parts.netloc:.70} is no name of a bucket: {FORM}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        check_name("option of the address", name, OPTIONS)
    endpoint = options.get("endpoint")
    if endpoint is not None and not re.fullmatch(r"https?://[^/?#@\s]+/?", endpoint):
        raise ValueError(f"endpoint {endpoint:.80} is not of the form http://HOST:PORT: {FORM}")
    return Bucket(
        parts.netloc,
        parts.path.strip("/"),
        endpoint and endpoint.rstrip("/"),
        options.get("region"),
    )
