"""JSON by the C half of the json package, without the other half: that imports re, which takes longer than a whole run of unitctl.

A Python whose C half looks different is served by the json package itself.
"""

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    from typing import Any

try:
    from _json import encode_basestring as _quote
    from _json import make_scanner

    class _Settings:
        """What json.JSONDecoder tells the scanner."""

        strict = True
        object_hook = object_pairs_hook = None
        parse_float, parse_int, parse_constant = float, int, float

    _scan: "Any" = make_scanner(_Settings())  # type: ignore[arg-type]  # it reads attributes, of anything
except (ImportError, AttributeError, TypeError):
    import json

    _scan = json.JSONDecoder().raw_decode

    def _quote(text: str, /) -> str:
        return json.dumps(text, ensure_ascii=False)


def decode(raw: bytes) -> "Any":
    """The value of a document without white space around it. Raises ValueError."""
    text = raw.decode("utf-8", "surrogatepass")
    try:
        value, end = _scan(text, 0)
    except StopIteration as stop:
        raise ValueError(f"no JSON at character {stop.value}") from None
    if end != len(text):
        raise ValueError(f"more than JSON at character {end}")
    return value


def encode(value: "Any") -> str:
    """The document, characters as they are. Raises TypeError for what is not str, bool, None, int, float or a list or dict of those."""
    if isinstance(value, str):
        return _quote(value)
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join([encode(item) for item in value]) + "]"
    if isinstance(value, dict):
        return "{" + ",".join([f"{_quote(key)}:{encode(item)}" for key, item in value.items()]) + "}"
    raise TypeError(f"cannot write {type(value).__name__} as JSON")
