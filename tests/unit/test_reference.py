"""What is made from the tables of directives and verbs: the page (`make docs`), the entries of `help`, the completions."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness import ROOT
from tests.unit.test_cli import ctl
from unitd.cli.completion import script
from unitd.cli.verbs import VERBS
from unitd.units.directives import DIRECTIVES
from unitd.units.readers import READERS
from unitd.units.reference import TYPES, describe, find, markdown, type_of


def test_the_page_is_what_the_tables_say() -> None:
    assert (ROOT / "docs/directives.md").read_text(encoding="utf-8") == markdown(), "docs/directives.md is old: run make docs"


def test_every_directive_is_explained() -> None:
    for (section, name), directive in DIRECTIVES.items():
        kind = directive.kind.partition(":")[0]
        assert kind in READERS, f"[{section}] {name}= has the kind {kind}, for which there is no reader"
        assert kind in TYPES or kind in ("enum", "int", "level"), f"units/reference.py has no words for the kind {kind} of [{section}] {name}="
        assert directive.help, f"[{section}] {name}= has no help"
        assert type_of(directive)
        assert directive.tier in ("honoured", "partly", "noted")
        assert not directive.confines or directive.tier == "noted"


def test_entries() -> None:
    assert [d.section for d in find("execstartpre=")] == ["Service", "Socket"]
    assert "default: no" in describe(find("Restart")[0])
    assert "sandbox = strict" in describe(find("PrivateTmp")[0])
    assert find("Nonsense") == []


def test_help_of_directives_and_verbs() -> None:
    code, out, _ = ctl(None, "help", "KillMode", "start")
    assert code == 0
    assert "control-group, mixed, process, none" in out
    assert "--no-block" in out
    code, _, err = ctl(None, "help", "KilMode")
    assert (code, "KillMode=" in err) == (1, True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [(["unitctl", "is-"], {"is-active", "is-failed", "is-enabled"}), (["unitctl", "--quiet", "start", "--no-b"], {"--no-block"}), (["unitctl", "help", "KillM"], {"KillMode"})],
)
def test_bash_completes(words: list[str], expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "unitctl.bash").write_text(script("bash"), encoding="utf-8")
    line = " ".join(words)
    code = f"source {tmp_path}/unitctl.bash; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _unitctl; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert set(done.stdout.split()) == expected


def test_completion_is_a_verb() -> None:
    assert ctl(None, "completion", "bash")[:2] == (0, script("bash"))
    assert ctl(None, "completion", "csh")[0] == 1


def test_completion_knows_all_verbs() -> None:
    assert all(f"'{verb}:" in script("zsh") for verb in VERBS)
