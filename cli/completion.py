"""completion: a script for a shell, made from the tables of verbs and directives."""

from __future__ import annotations

import sys

from unitd.cli.context import Context
from unitd.cli.options import Option, Options, Unclear, common_options
from unitd.cli.verbs import VERBS, load
from unitd.units.directives import DIRECTIVES

TYPE_CHECKING = False  # importing typing takes a millisecond
if TYPE_CHECKING:
    import argparse

_BASH = r"""# bash completion for unitctl; printed by `unitctl completion bash`.
_unitctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= word
    local verbs="@VERBS@"
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case " $verbs " in *" $word "*) verb=$word; break ;; esac
    done
    COMPREPLY=()
    if [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "$verbs @COMMON@" -- "$cur"))
        return
    fi
    if [[ $cur == -* ]]; then
        case $verb in
@OPTIONS@
        esac
        return
    fi
    case $verb in
        @UNITS@)
            COMPREPLY=($(compgen -W "$(unitctl list-units --all --plain --no-legend 2>/dev/null | cut -d' ' -f1)" -- "$cur")) ;;
        @FILES@)
            COMPREPLY=($(compgen -W "$(unitctl list-unit-files --no-legend 2>/dev/null | cut -d' ' -f1)" -- "$cur")) ;;
        verify)
            COMPREPLY=($(compgen -f -- "$cur")) ;;
        completion)
            COMPREPLY=($(compgen -W "bash zsh" -- "$cur")) ;;
        help)
            COMPREPLY=($(compgen -W "$verbs @DIRECTIVES@" -- "$cur")) ;;
    esac
}
complete -F _unitctl unitctl
"""
_ZSH = r"""#compdef unitctl
# zsh completion for unitctl; printed by `unitctl completion zsh`.
local -a verbs options
local verb= word
verbs=(
@VERBS@
)
for word in ${words[2,CURRENT-1]}; do
    if (( ${verbs[(I)$word:*]} )); then verb=$word; break; fi
done
if [[ -z $verb ]]; then
    _describe 'verb' verbs
    compadd -- @COMMON@
    return
fi
if [[ $PREFIX == -* ]]; then
    case $verb in
@OPTIONS@
    esac
    compadd -- $options
    return
fi
case $verb in
    @UNITS@)
        compadd -- ${(f)"$(unitctl list-units --all --plain --no-legend 2>/dev/null | cut -d' ' -f1)"} ;;
    @FILES@)
        compadd -- ${(f)"$(unitctl list-unit-files --no-legend 2>/dev/null | cut -d' ' -f1)"} ;;
    verify)
        _files ;;
    completion)
        compadd -- bash zsh ;;
    help)
        compadd -- ${verbs%%:*} @DIRECTIVES@ ;;
esac
"""
#: Verbs whose operands are unit files rather than units in memory.
FILES = ("enable", "disable", "mask", "unmask", "is-enabled", "edit", "start", "cat")


def arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """Operand of completion."""
    parser.add_argument("units", nargs="*", metavar="bash|zsh")


def run(context: Context, verb: str, args: argparse.Namespace) -> int:
    """Print the script."""
    if args.units not in (["bash"], ["zsh"]):
        print("unitctl: cannot complete for that, because there are scripts for bash and zsh only", file=sys.stderr)
        return 1
    context.text(script(args.units[0]))
    return 0


class _Seen(Options):
    """Remembers the flags that are declared."""

    def flags(self) -> list[str]:
        found: dict[str, Option] = self._flags
        return sorted(flag for flag in found if flag.startswith("--"))


def flags(verb: str) -> list[str]:
    """The long options of a verb, those of all verbs included."""
    seen = _Seen()
    common_options(seen)
    try:
        load(verb).arguments(seen, verb)  # type: ignore[arg-type]
    except Unclear:
        from unitd.cli.parser import parser_for

        return sorted({flag for action in parser_for(verb)._actions for flag in action.option_strings if flag.startswith("--")} - {"--help"})
    return seen.flags()


def script(shell: str) -> str:
    """The completion script for `bash` or `zsh`."""
    bash = shell == "bash"
    seen = _Seen()
    common_options(seen)
    units = [verb for verb, (_, operands, _) in VERBS.items() if "UNIT" in operands and verb not in FILES]
    texts = [f"    {_quote(f'{verb}:{text}')}" for verb, (_, _, text) in VERBS.items()]
    options = [_case(verb, bash) for verb in VERBS]
    filled = _BASH if bash else _ZSH
    for mark, text in {
        "@VERBS@": " ".join(VERBS) if bash else "\n".join(texts),
        "@COMMON@": " ".join(seen.flags()),
        "@OPTIONS@": "\n".join(options),
        "@UNITS@": "|".join(units),
        "@FILES@": "|".join(FILES),
        "@DIRECTIVES@": " ".join(sorted({name for _, name in DIRECTIVES})),
    }.items():
        filled = filled.replace(mark, text)
    return filled


def _case(verb: str, bash: bool) -> str:
    words = " ".join(flags(verb))
    return f'            {verb}) COMPREPLY=($(compgen -W "{words}" -- "$cur")) ;;' if bash else f"        {verb}) options=({words}) ;;"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
