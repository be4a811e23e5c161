"""verify: check unit files, without a manager."""

from __future__ import annotations

from unitd.cli.context import Context

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Operands of verify."""
    parser.add_argument("units", nargs="*", metavar="FILE|DIR")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Print every finding; 1 if any is an error."""
    from unitd.units.verify import verify_files

    problems = verify_files(args.units)
    if context.json:
        import msgspec

        rows = [{"severity": p.severity, "message": p.message, "file": p.file, "line": p.line, "hint": p.hint} for p in problems]
        print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
    else:
        context.text("".join(f"{problem}\n" for problem in problems))
    return 1 if any(problem.severity == "error" for problem in problems) else 0
