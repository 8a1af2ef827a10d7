"""A hash of plain data, the same in every process."""

import hashlib
import json
from typing import Any


def json_hash(value: Any) -> str:
    """sha256, as hexadecimal digits, of a JSON-able value; the order of keys decides nothing."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
