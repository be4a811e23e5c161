"""The suffixes that unit names have. Imports nothing: unitctl needs no more of names than this, and starts in milliseconds."""

TYPES = ("service", "socket", "target", "timer", "path", "slice", "mount", "automount", "swap", "device", "scope")


def with_suffix(name: str, default: str = ".service") -> str:
    """The name with .service added when it has no unit suffix. Whether the result is valid is for `names.is_valid_name`."""
    stem, _, suffix = name.rpartition(".")
    return name if stem and suffix in TYPES else name + default


def unit_names(words: list[str]) -> list[str]:
    """Names with their suffix; globs are left to the manager."""
    return [word if any(c in word for c in "*?[") else with_suffix(word) for word in words]
