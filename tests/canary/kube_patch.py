"""The two kinds of patch that a Kubernetes API takes from us, applied to plain JSON."""


def apply(found, operation):
    """Apply one operation of a JSON Patch (RFC 6902): what is written here, and no more."""
    parts = [
        part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
    ]
    *way, last = parts
    place = found
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if isinstance(place, list):
        last = len(place) if last == "-" else int(last)
    verb = operation["op"]
    if verb == "test":
        if place[last] != operation["value"]:
            raise ValueError(f"testing value {operation['path']} failed")
    elif verb == "remove":
        del place[last]
    elif verb == "replace":
        if not isinstance(place, list) and last not in place:
            raise KeyError(last)
        place[last] = operation["value"]
    elif verb == "add" and isinstance(place, list):
        place.insert(last, operation["value"])
    elif verb == "add":
        place[last] = operation["value"]
    else:
        raise ValueError(f"unknown operation {verb}")


def merge(found, patch):
    """Apply a merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(found) if isinstance(found, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def forget(fields, path):
    """Drop a field, wherever there is one."""
    *way, last = path
    place = fields
    for part in way:
        place = place.get(part, {})
    place.pop(last, None)
