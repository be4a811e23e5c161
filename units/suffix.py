"""Names as people type them, made names of units. Imports nothing: unitctl needs no more of names than this, and starts in milliseconds."""

TYPES = ("service", "socket", "target", "timer", "path", "slice", "mount", "automount", "swap", "device", "scope")
#: What may stand in the name of a unit.
VALID = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@")


def with_suffix(name: str, default: str = ".service") -> str:
    """The name with .service added when it has no unit suffix. Whether the result is valid is for `names.is_valid_name`."""
    stem, _, suffix = name.rpartition(".")
    return name if stem and suffix in TYPES else name + default


def unit_names(words: list[str], no_globs_for: str = "") -> list[str]:
    """Names with their suffix, what cannot stand in one escaped, which is said on stderr; paths as the names of mounts and devices (systemd's unit_name_mangle).

    Globs are left to the manager, but for a verb that takes none, which is named then.
    """
    return [word if not no_globs_for and any(c in word for c in "*?[") else with_suffix(word) if VALID.issuperset(word) else _mangled(word, no_globs_for) for word in words]


def _mangled(word: str, verb: str) -> str:
    import sys

    hint = " (maybe you should use systemd-escape?)"
    if any(c in word for c in "*?["):
        print(f"Glob pattern passed to {verb}, but globs are not supported for this.", file=sys.stderr)
        hint = ""
    if word.startswith("/") and ".." not in word.split("/"):
        from unitd.units.names import escape_path

        return escape_path(word) + (".device" if word.startswith(("/dev/", "/sys/")) else ".mount")
    name = "".join("-" if c == "/" else c if c in VALID else "".join(f"\\x{b:02x}" for b in c.encode("utf-8", "surrogateescape")) for c in word)
    print(f'Invalid unit name "{word}" escaped as "{name}"{hint}.', file=sys.stderr)
    return with_suffix(name)
