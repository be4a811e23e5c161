"""argparse, for --help and for what is wrong with a command line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from unitd.cli.options import Usage, common_options
from unitd.cli.verbs import VERBS, load


class Parser(argparse.ArgumentParser):
    """argparse that raises instead of exiting with 2."""

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message}\nTry '{self.prog} --help'.")


def parser_for(verb: str) -> Parser:
    """The parser of one verb: the options of all verbs and its own."""
    _, operands, text = VERBS[verb]
    usage = f"unitctl [OPTION...] {verb} {operands}".rstrip()
    parser = Parser(prog=f"unitctl {verb}", usage=usage, description=text + ".", allow_abbrev=False)
    common_options(parser.add_argument_group("options of all verbs"))
    load(verb).arguments(parser, verb)
    return parser
