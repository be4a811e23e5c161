"""The screen of `unitctl top`: curses, keys and dialogues."""

from __future__ import annotations

import curses
import locale
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from unitd.cli.top.feed import Feed, Inbox, Lost, Output, OutputFeed, Picture, Said, Tail, Worker
from unitd.cli.top.model import Model, scroll
from unitd.cli.top.paint import HELP, Span, clean, fit, heading, table

#: Seconds between two pictures; more when the terminal is slow.
PACE = 0.2
ESCAPE, ENTER, BACKSPACE = "\x1b", ("\n", "\r"), ("\x7f", "\b")

_SORT_KEYS = {"c": "cpu", "m": "memory", "n": "name", "u": "state", "e": "restarts", "a": "age"}
_ACTIONS = {"S": "start", "T": "stop", "R": "restart", "L": "reload"}


class Screen:
    """Owns the terminal while it runs. `endpoint` is the manager's."""

    def __init__(self, window: curses.window, model: Model, endpoint: str, unicode: bool, colour: bool) -> None:
        self.window, self.model, self.unicode = window, model, unicode
        self.inbox = Inbox()
        self.feed, self.worker, self.output = Feed(endpoint, self.inbox), Worker(endpoint, self.inbox), OutputFeed(endpoint, self.inbox)
        self.tail = Tail()
        self.top = 0
        self.message, self.message_good = "", True
        self.question: tuple[str, Callable[[], None]] | None = None
        self.prompt: tuple[str, str, Callable[[str, bool], None]] | None = None  # title, text, called with text and whether it is final
        self.help = self.held = self.leave = False
        self.height = 1  # of the list
        self.styles = _styles(colour)
        self._resized = False

    # -- the loop

    def run(self) -> None:
        """Until q."""
        curses.set_escdelay(25)
        self.window.keypad(True)
        self.window.nodelay(True)
        try:
            curses.curs_set(0)
        except curses.error:
            pass  # some terminals cannot hide it
        signal.signal(signal.SIGWINCH, self._winch)
        for thread in (self.feed, self.worker, self.output):
            thread.start()
        dirty, drawn, pace = True, 0.0, PACE
        while not self.leave:
            now = time.monotonic()
            if dirty and (not self.held or self.question or self.prompt) and now >= drawn + pace:
                self.draw()
                drawn, dirty = time.monotonic(), False
                # writing to a slow terminal blocks: then pictures come less often, and keys are still heard
                pace = max(PACE, 3 * (drawn - now))
            wait = max(0.0, drawn + pace - time.monotonic()) if dirty else None
            ready = select.select([sys.stdin, self.inbox], [], [], wait)[0]
            if self._resized:
                self._resize()
                dirty, drawn = True, 0.0
            for item in self.inbox.take():
                dirty = self.hear(item) or dirty
            if sys.stdin in ready:
                while (key := self._key()) is not None:
                    self.key(key)
                    dirty, drawn = True, 0.0

    def _winch(self, *_: Any) -> None:
        self._resized = True
        self.inbox.wake()

    def _resize(self) -> None:
        self._resized = False
        size = os.get_terminal_size(sys.stdin.fileno())
        curses.resizeterm(max(1, size.lines), max(1, size.columns))
        self.window.erase()
        self.window.clearok(True)

    def _key(self) -> str | int | None:
        try:
            return self.window.get_wch()
        except curses.error:
            return None

    def hear(self, item: Any) -> bool:
        """One thing from the threads; True when the picture changes."""
        match item:
            case Picture():
                self.model.snapshot(item.position, item.units)
            case Lost():
                self.model.lost(clean(item.why))
            case Said():
                self.message, self.message_good = clean(item.text), item.good
            case Output():
                self.tail.add(item)
                return item.unit == self.tail.unit
            case _:
                self.model.event(item)
        return True

    # -- keys

    def key(self, key: str | int) -> None:
        """One key."""
        if key == curses.KEY_RESIZE:
            self._resized = True
        elif self.question is not None:
            _text, action = self.question
            self.question = None
            if key in ("y", "Y"):
                action()
            else:
                self.message, self.message_good = "nothing was done", True
        elif self.prompt is not None:
            self._edit(key)
        elif self.help:
            self.help = False
        else:
            self._command(key)

    def _edit(self, key: str | int) -> None:
        """A key of a line that is typed."""
        assert self.prompt is not None
        title, text, done = self.prompt
        if key in ENTER or key == curses.KEY_ENTER:
            self.prompt = None
            done(text, True)
        elif key == ESCAPE:
            self.prompt = None
            done("", False)
        elif key in BACKSPACE or key == curses.KEY_BACKSPACE:
            self.prompt = (title, text[:-1], done)
            done(text[:-1], False)
        elif isinstance(key, str) and key.isprintable():
            self.prompt = (title, text + key, done)
            done(text + key, False)

    def _command(self, key: str | int) -> None:
        now, model = time.time(), self.model
        self.message = ""
        page = max(1, self.height - 1)
        steps: dict[str | int, int] = {
            curses.KEY_UP: -1, "k": -1, curses.KEY_DOWN: 1, "j": 1, curses.KEY_PPAGE: -page, curses.KEY_NPAGE: page,
            curses.KEY_HOME: -1_000_000, curses.KEY_END: 1_000_000, "g": -1_000_000, "G": 1_000_000,
        }  # fmt: skip
        model.choose(now, 0)
        if key in steps:
            model.choose(now, steps[key])
            if self.tail.unit:
                self._watch(model.selected)
        elif key in ("q", "Q", "\x03"):
            self.leave = True
        elif key in ("h", "?"):
            self.help = True
        elif key == " ":
            self.held = not self.held
            self.message, self.message_good = "held; space goes on" if self.held else "", True
            self.draw()
        elif key in _SORT_KEYS:
            model.sort, model.reverse = _SORT_KEYS[str(key)], False
        elif key == "i":
            model.reverse = not model.reverse
        elif key == "t":
            model.tree = not model.tree
        elif key == "v":
            model.everything = not model.everything
        elif key == "/":
            self.prompt = ("filter: ", model.filter, self._filter)
        elif key == ESCAPE:
            model.filter = ""
            self._watch("")
        elif key in ENTER or key in (curses.KEY_ENTER, "o"):
            self._watch("" if self.tail.unit else model.selected)
        elif model.selected:
            self._action(key, model.selected)
        model.choose(now, 0)

    def _filter(self, text: str, final: bool) -> None:
        self.model.filter = text
        self.model.choose(time.time(), 0)

    def _watch(self, unit: str) -> None:
        if unit != self.tail.unit:
            self.tail.show(unit)
            self.output.watch(unit)

    def _action(self, key: str | int, unit: str) -> None:
        """Ask before anything is done to a unit."""
        count = len(self.model.rows[unit].processes) if unit in self.model.rows else 0
        what = f"{unit} ({count} process{'es' if count != 1 else ''})" if count else unit
        if key in _ACTIONS:
            verb = _ACTIONS[str(key)]
            self.question = (f"{verb} {what}?", lambda: self._do(verb, unit, no_block=True))
        elif key == "K":

            def chosen(text: str, final: bool) -> None:
                if final and text.strip():
                    self.question = (f"send {text.strip()} to {what}?", lambda: self._do("kill", unit, signal=text.strip()))

            self.prompt = (f"signal for {unit}: ", "TERM", chosen)
        elif key in ("+", "-"):
            self._scale(unit, 1 if key == "+" else -1)

    def _scale(self, unit: str, step: int) -> None:
        stem, at, rest = unit.partition("@")
        kind = rest.rpartition(".")[2]
        if not at:
            self.message, self.message_good = f"{unit} is no instance of a template, so there is nothing to scale", False
            return
        template = f"{stem}@.{kind}"
        more = "more" if step > 0 else "less"
        self.question = (f"one instance of {template} {more}?", lambda: self._do("scale", template, by=step, no_block=True))

    def _do(self, verb: str, unit: str, **options: Any) -> None:
        self.message, self.message_good = f"{verb} {unit} ...", True
        self.worker.ask(verb, unit, **options)

    # -- the picture

    def draw(self) -> None:
        """Everything; curses sends what differs."""
        lines, width = self.window.getmaxyx()
        now = time.time()
        self.window.erase()
        if lines < 4 or width < 16:
            self._put(0, [Span(fit("too small", width))], width)
            self.window.refresh()
            return
        self.model.choose(now, 0)
        rows = self.model.lines(now)
        pane = max(3, (lines - 3) // 2) if self.tail.unit else 0
        self.height = max(1, lines - 3 - pane)
        chosen = next((i for i, line in enumerate(rows) if line.row.unit == self.model.selected), 0)
        self.top = scroll(len(rows), self.height, chosen, self.top)
        head, body = table(self.model, rows[self.top : self.top + self.height], width, now, self.unicode)
        y = 0
        for spans in [*heading(self.model, width), head]:
            self._put(y, spans, width)
            y += 1
        for i, spans in enumerate(body):
            self._put(y + i, spans, width, selected=self.top + i == chosen)
        if pane:
            self._pane(lines - 1 - pane, pane, width)
        if self.help:
            for i, text in enumerate(HELP[: lines - 3]):
                self._put(2 + i, [Span(fit(" " + text, width), "head")], width)
        self._bottom(lines - 1, width)
        self.window.refresh()

    def _pane(self, y: int, height: int, width: int) -> None:
        self._put(y, [Span(fit(f" output of {self.tail.unit}", width), "head")], width)
        for i, text in enumerate(list(self.tail.lines)[-(height - 1) :]):
            self._put(y + 1 + i, [Span(fit(clean(text.expandtabs()), width))], width)

    def _bottom(self, y: int, width: int) -> None:
        if self.question is not None:
            spans = [Span(fit(f"{self.question[0]} y/n", width - 1), "warn")]
        elif self.prompt is not None:
            spans = [Span(fit(f"{self.prompt[0]}{self.prompt[1]}_", width - 1), "title")]
        elif self.message:
            spans = [Span(fit(self.message, width - 1), "" if self.message_good else "bad")]
        else:
            keys = "q leave  h help  / filter  c m n sort  t tree  o output  S start  T stop  R restart  L reload  K kill"
            spans = [Span(fit(keys, width - 1), "dim")]
        self._put(y, spans, width)

    def _put(self, y: int, spans: list[Span], width: int, selected: bool = False) -> None:
        x = 0
        for span in spans:
            style = self.styles["select"] | (self.styles[span.style] if span.style in ("bad", "warn") else 0) if selected else self.styles[span.style]
            try:
                self.window.addstr(y, x, span.text, style)
            except curses.error:
                return  # the last cell of the screen, or a terminal that just became smaller
            x += sum(1 for _ in span.text) if span.text.isascii() else self.window.getyx()[1] - x
            if x >= width:
                return


def _styles(colour: bool) -> dict[str, int]:
    """Attributes by style; without colours they are told apart by weight."""
    styles = {
        "": curses.A_NORMAL, "good": curses.A_NORMAL, "bad": curses.A_BOLD, "warn": curses.A_BOLD, "dim": curses.A_DIM,
        "head": curses.A_REVERSE, "title": curses.A_BOLD, "select": curses.A_REVERSE,
    }  # fmt: skip
    if not colour or not curses.has_colors():
        return styles
    curses.start_color()
    try:
        curses.use_default_colors()
        back = -1
    except curses.error:
        back = curses.COLOR_BLACK
    many = curses.COLORS >= 256
    pairs = {"good": 114 if many else curses.COLOR_GREEN, "bad": 203 if many else curses.COLOR_RED, "warn": 221 if many else curses.COLOR_YELLOW}
    for number, (name, front) in enumerate(pairs.items(), 1):
        curses.init_pair(number, front, back)
        styles[name] = curses.color_pair(number) | (curses.A_BOLD if name == "bad" else 0)
    if many:
        curses.init_pair(4, 245, back)
        styles["dim"] = curses.color_pair(4)
    return styles


def run(model: Model, endpoint: str, unicode: bool, colour: bool) -> None:
    """Take the terminal, show, and give it back as it was. Raises curses.error for a terminal that curses does not know."""
    locale.setlocale(locale.LC_ALL, "")
    curses.wrapper(lambda window: Screen(window, model, endpoint, unicode, colour).run())
