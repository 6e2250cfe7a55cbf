"""How the record of a run differs from that of an earlier one."""

import json
from typing import Any


def known_before(new: Any, old: Any, given: Any) -> Any:
    """The part of `new` that can be compared with `old`, a record of an older version.

    Keys that `old` lacks are left out unless the input (`given`) sets them: the older version had their default behaviour.
    """
    if isinstance(new, dict) and isinstance(old, dict):
        given = given if isinstance(given, dict) else {}
        return {k: known_before(v, old.get(k), given.get(k)) for k, v in new.items() if k in old or k in given}
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        given = given if isinstance(given, list) and len(given) == len(new) else [None] * len(new)
        return [known_before(*parts) for parts in zip(new, old, given)]
    return new


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """Lines 'key: old -> new' for every difference between two nested dictionaries."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line for k in sorted({*old, *new}) for line in differences(old.get(k), new.get(k), f"{key}.{k}" if key else str(k))
        ]
    return [] if old == new else [f"{key}: {json.dumps(old)} -> {json.dumps(new)}"]
