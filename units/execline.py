"""Splitting of command lines and quoted lists, and `$VAR` expansion (systemd.service(5), COMMAND LINES; cases cmd-*). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from unitd.units.errors import ValueProblem
from unitd.units.model import Command

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'", "s": " "}
_BLANKS = " \t\n\r"
_PLAIN = re.compile(r"[^ \t\n\r]+")


def split_words(text: str, *, relaxed: bool = False) -> list[tuple[str, bool]]:
    """Words and whether any part of each was quoted or escaped. Raises ValueProblem for an unbalanced quote unless `relaxed`."""
    if "\\" not in text and '"' not in text and "'" not in text:
        return [(word, False) for word in _PLAIN.findall(text)]
    words: list[tuple[str, bool]] = []
    current: list[str] | None = None
    raw = bytearray()
    special = False
    quote = ""
    i = 0

    def flush() -> None:
        if raw and current is not None:
            current.append(raw.decode("utf-8", "surrogateescape"))
            raw.clear()

    while i < len(text):
        char = text[i]
        if char == "\\" and i + 1 < len(text):
            current = [] if current is None else current
            taken, piece = _escape(text, i)
            special = True
            if isinstance(piece, int):
                raw.append(piece)
            else:
                flush()
                current.append(piece)
            i += taken
            continue
        if raw:
            flush()
        if quote:
            if char == quote:
                quote = ""
            else:
                assert current is not None
                current.append(char)
        elif char in "\"'":
            current = [] if current is None else current
            quote, special = char, True
        elif char in _BLANKS:
            if current is not None:
                words.append(("".join(current), special))
                current, special = None, False
        else:
            current = [] if current is None else current
            current.append(char)
        i += 1
    flush()
    if quote and not relaxed:
        raise ValueProblem(f"cannot split {text!r}, because a {quote} quote is not closed", "close the quote, or write \\" + quote)
    if current is not None:
        words.append(("".join(current), special))
    return words


def _is_char(number: int) -> bool:
    return 0 < number <= 0x10FFFF and not 0xD800 <= number < 0xE000


def _escape(text: str, i: int) -> tuple[int, str | int]:
    """The escape at `i`: how many characters it takes and what it stands for; a bad one stays literal (cases cmd-015 to 017)."""
    char = text[i + 1]
    if char in _ESCAPES:
        return 2, _ESCAPES[char]
    for letter, digits in (("x", 2), ("u", 4), ("U", 8)):
        if char == letter:
            number = text[i + 2 : i + 2 + digits]
            if len(number) == digits and all(c in "0123456789abcdefABCDEF" for c in number) and _is_char(int(number, 16)):
                return 2 + digits, int(number, 16) if letter == "x" else chr(int(number, 16))
            return 2, "\\" + char
    octal = text[i + 1 : i + 4]
    if len(octal) == 3 and all(c in "01234567" for c in octal) and 0 < int(octal, 8) < 256:
        return 4, int(octal, 8)
    return 2, "\\" + char


def parse_command_line(text: str, resolve: Callable[[str], str]) -> list[Command]:
    """The commands of one Exec*= line. `resolve` expands specifiers in a word. Raises ValueProblem."""
    commands: list[Command] = []
    group: list[str] = []
    for word, special in split_words(text):
        if word == ";" and not special:
            if group:
                commands.append(_command(group, resolve))
            group = []
        else:
            group.append(";" if word == "\\;" else word)
    if group:
        commands.append(_command(group, resolve))
    return commands


def _command(words: list[str], resolve: Callable[[str], str]) -> Command:
    path, seen, privilege = words[0], set[str](), ""
    while path and path[0] in "@-:+!":
        prefix = path[0]
        if prefix == "!" and privilege == "!":
            privilege = "!!"
        elif prefix in "+!":
            if privilege:
                raise ValueProblem(f"cannot combine the prefixes of {words[0]!r}", "use one of +, ! and !!")
            privilege = prefix
        elif prefix in seen:
            raise ValueProblem(f"cannot use the prefix {prefix!r} twice in {words[0]!r}", "write each prefix once")
        else:
            seen.add(prefix)
        path = path[1:]
    path = resolve(path)
    if not path or path.endswith("/"):
        raise ValueProblem(f"cannot run {words[0]!r}, because it names no program", "write an absolute path")
    if "/" in path and not path.startswith("/"):
        raise ValueProblem(f"cannot run {path!r}, because it is neither absolute nor a bare name", "write an absolute path")
    arguments = [resolve(w) for w in words[1:]]
    if "@" in seen:
        if not arguments:
            raise ValueProblem(f"cannot run {words[0]!r}, because @ needs a second word for argv[0]", "write @/path/to/program NAME")
        argv = arguments
    else:
        argv = [path, *arguments]
    return Command(path, tuple(argv), ignore_failure="-" in seen, expand=":" not in seen, privilege=privilege)


def expand_argv(command: Command, env: Mapping[str, str]) -> tuple[str, ...]:
    """argv with `$VAR` and `${VAR}` filled in (cases cmd-041 to 060)."""
    if not command.expand:
        return command.argv
    out = [command.argv[0]]
    for word in command.argv[1:]:
        if word.startswith("$") and len(word) > 1 and word[1] not in "{$":
            value = env.get(word[1:], "")
            out += [w for w, _ in split_words(value, relaxed=True)]
        elif word == "$":
            continue
        else:
            out.append(_expand_word(word, env))
    return tuple(out)


def _expand_word(word: str, env: Mapping[str, str]) -> str:
    out: list[str] = []
    i = 0
    while i < len(word):
        if word.startswith("$$", i):
            out.append("$")
            i += 2
        elif word.startswith("${", i) and (end := word.find("}", i)) > 0:
            name = word[i + 2 : end]
            if ":" in name:  # ${VAR:-x} is literal in systemd 252 (case cmd-056)
                out.append(word[i : end + 1])
            else:
                out.append(env.get(name, ""))
            i = end + 1
        else:
            out.append(word[i])
            i += 1
    return "".join(out)
