"""Splitting of command lines and quoted lists, and `$VAR` expansion (systemd.service(5), COMMAND LINES; cases cmd-*). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from unitd.units import values
from unitd.units.errors import ValueProblem
from unitd.units.model import Command

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'", "s": " "}
_BLANKS = " \t\n\r"
_PLAIN = re.compile(r"[^ \t\n\r]+")
Escapes = Literal["relaxed", "strict", "plain", "keep"]


class SplitProblem(ValueProblem):
    """A list cannot be split to its end; `words` are those before the bad one, `commands` what they come to; systemd takes both."""

    def __init__(self, message: str, hint: str, words: list[Word]) -> None:
        super().__init__(message, hint)
        self.words = words
        self.commands: list[Command] = []


class Word(NamedTuple):
    """A word of a list."""

    text: str
    raw: str  # as it was written, quotes and all


def split(text: str, escapes: Escapes = "relaxed", *, quotes: bool = True, relaxed: bool = False, separators: str = _BLANKS) -> list[Word]:
    r"""The words of a list, as extract_first_word() of systemd splits it.

    `escapes`: "relaxed" knows C escapes and keeps what is none ("\q"), "strict" refuses that, "plain" takes the backslash away and no more, "keep" leaves
    all as it is. Without `quotes` quotes are characters as any other; `relaxed` takes an unclosed quote. Other `separators` than blanks may be escaped.
    Raises SplitProblem.
    """
    if "\\" not in text and '"' not in text and "'" not in text and separators is _BLANKS:
        return [Word(word, word) for word in _PLAIN.findall(text)]
    words: list[Word] = []
    i, n = 0, len(text)
    while True:
        while i < n and text[i] in separators:
            i += 1
        if i == n:
            return words
        start, out, quote = i, bytearray(), ""
        while i < n and (quote or text[i] not in separators):
            char = text[i]
            if char == "\\" and escapes != "keep":
                if i + 1 == n:
                    if escapes == "strict" or (escapes == "plain" and not relaxed):
                        raise SplitProblem(f"cannot split {text!r}, because nothing follows the last backslash", "write \\\\", words)
                    out += b"\\" if escapes == "relaxed" else b""
                    i += 1
                    continue
                literal = escapes == "plain" or (separators != _BLANKS and text[i + 1] in separators)
                taken, piece = (2, text[i + 1]) if literal else _escape(text, i)
                if escapes == "strict" and isinstance(piece, str) and piece[:1] == "\\" and text[i + 1] != "\\":
                    raise SplitProblem(f"cannot split {text!r}, because {text[i : i + 2]} is no escape", "write \\\\ for a backslash", words)
                out += bytes((piece,)) if isinstance(piece, int) else piece.encode("utf-8", "surrogateescape")
                i += taken
                continue
            if quote and char == quote:
                quote = ""
            elif not quote and quotes and char in "\"'":
                quote = char
            else:
                out += char.encode("utf-8", "surrogateescape")
            i += 1
        if quote and not relaxed:
            raise SplitProblem(f"cannot split {text!r}, because a {quote} quote is not closed", "close the quote, or write \\" + quote, words)
        words.append(Word(out.decode("utf-8", "surrogateescape"), text[start:i]))


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
    r"""The commands of one Exec*= line. `resolve` expands specifiers in a word. Only a bare ; ends a command, and only a bare \; stands for one.

    Raises SplitProblem where systemd drops the rest of the line and no more: the name of a program cannot be split off, or a command with the prefix -
    is bad. Any other ValueProblem keeps the unit from loading.
    """
    broken: SplitProblem | None = None
    try:
        words = split(text)
    except SplitProblem as error:
        broken, words = error, error.words
    commands: list[Command] = []
    group: list[str] = []

    def end() -> None:
        if not group:
            return
        try:
            commands.append(_command(group, resolve))
        except ValueProblem as error:
            raise _bad(group[0], error, commands) from None
        group.clear()

    for word in words:
        if word.raw == ";":
            end()
        else:
            group.append(";" if word.raw == "\\;" and group else word.text)
    if broken and group:
        raise _bad(group[0], broken, commands)
    end()
    if broken:
        broken.commands = commands
        raise broken
    return commands


def _bad(program: str, error: ValueProblem, before: list[Command]) -> ValueProblem:
    """What to raise for a bad command, with the good ones before it."""
    if "-" not in program[: len(program) - len(program.lstrip("@-:+!"))]:
        return ValueProblem(str(error), error.hint)
    dropped = SplitProblem(str(error), error.hint, [])
    dropped.commands = before
    return dropped


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
    if any(c < " " or c in "\"'\\\x7f" for c in path):
        raise ValueProblem(f"cannot run {path!r}, because a quote, a backslash or a control character is in its name", "name the program as it is, in quotes if it has blanks")
    if "/" in path and not path.startswith("/"):
        raise ValueProblem(f"cannot run {path!r}, because it is neither absolute nor a bare name", "write an absolute path")
    arguments = [resolve(w) for w in words[1:]]
    if "@" in seen:
        if not arguments:
            raise ValueProblem(f"cannot run {words[0]!r}, because @ needs a second word for argv[0]", "write @/path/to/program NAME")
        argv = arguments
    else:
        argv = [path, *arguments]
    return Command(values.simplify_path(path) if path.startswith("/") else path, tuple(argv), ignore_failure="-" in seen, expand=":" not in seen, privilege=privilege)


def expand_argv(command: Command, env: Mapping[str, str]) -> tuple[str, ...]:
    """argv with `$VAR` and `${VAR}` filled in (cases cmd-041 to 060)."""
    if not command.expand:
        return command.argv
    out = [command.argv[0]]
    for word in command.argv[1:]:
        if word.startswith("$") and len(word) > 1 and word[1] not in "{$":
            value = env.get(word[1:], "")
            out += [w.text for w in split(value, "plain", relaxed=True)]
        elif word == "$":
            continue
        else:
            out.append(_expand_word(word, env))
    return tuple(out)


def _expand_word(word: str, env: Mapping[str, str]) -> str:
    if "$" not in word:
        return word
    out: list[str] = []
    i = 0
    while i < len(word):
        if word.startswith("$$", i):
            out.append("$")
            i += 2
        elif word.startswith("${", i):
            end = word.find("}", i)
            if end < 0:  # not closed: all the rest is literal
                out.append(word[i:])
                break
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
