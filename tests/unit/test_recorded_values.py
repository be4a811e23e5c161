"""What systemd 252 makes of values, line by line: `systemctl show` of a service with these lines, recorded from a booted container."""

from __future__ import annotations

import msgspec
import pytest

from unitd.manager.properties import properties
from unitd.manager.states import Record
from unitd.units import names
from unitd.units.envfile import parse_env_file
from unitd.units.errors import ValueProblem
from unitd.units.execline import expand_argv, parse_command_line, split
from unitd.units.lexer import lex
from unitd.units.parse import Defaults, build
from unitd.units.specifiers import HostFacts
from unitd.units.suffix import unit_names

NAME = "a@x.service"


def shown(text: str) -> dict[str, str]:
    """The properties of a service with these lines; those that begin with U: are of [Unit]."""
    lines = text.split("\n")
    unit = [line[2:] for line in lines if line.startswith("U:")]
    service = [line for line in lines if not line.startswith("U:")]
    whole = "\n".join(["[Unit]", *unit, "[Service]", *service, "" if "ExecStart=" in text else "ExecStart=/bin/true"])
    assignments, _ = lex(whole, "/u/a@.service")
    built, _problems = build(NAME, assignments, "/u/a@.service", HostFacts(), Defaults())
    return properties(built, Record(NAME), {})


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        # An empty value of what is one time, number, boolean or word is ignored; that of a list, a limit of the OOM killer and the like resets.
        ("RestartSec=7\nRestartSec=", "RestartUSec", "7s"),
        ("TimeoutStopSec=7\nTimeoutStopSec=", "TimeoutStopUSec", "7s"),
        ("TimeoutAbortSec=7\nTimeoutAbortSec=", "TimeoutAbortUSec", "1min 30s"),
        ("LimitNOFILE=5\nLimitNOFILE=", "LimitNOFILE", "5"),
        ("UMask=077\nUMask=", "UMask", "0077"),
        ("NoNewPrivileges=yes\nNoNewPrivileges=", "NoNewPrivileges", "yes"),
        ("StandardOutput=null\nStandardOutput=", "StandardOutput", "null"),
        ("Nice=5\nNice=", "Nice", "0"),
        ("OOMScoreAdjust=5\nOOMScoreAdjust=", "OOMScoreAdjust", "0"),
        ("Slice=foo.slice\nSlice=", "Slice", "foo.slice"),
        ("U:JobTimeoutSec=5\nU:JobTimeoutSec=", "JobTimeoutUSec", "5s"),
        # Numbers and times
        ("RestartSec=584542y", "RestartUSec", "100ms"),
        ("RestartSec=584541y", "RestartUSec", "584541y"),
        ("TimeoutAbortSec=0", "TimeoutAbortUSec", "0"),
        ("RuntimeMaxSec=0", "RuntimeMaxUSec", "0"),
        ("U:StartLimitBurst=4294967296", "StartLimitBurst", "5"),
        ("StartLimitIntervalSec=7", "StartLimitIntervalUSec", "10s"),
        ("StartLimitInterval=7", "StartLimitIntervalUSec", "7s"),
        ("U:JobTimeoutSec=5", "JobRunningTimeoutUSec", "5s"),
        ("U:JobTimeoutSec=5\nU:JobRunningTimeoutSec=7", "JobRunningTimeoutUSec", "7s"),
        ("U:JobTimeoutAction=reboot", "JobTimeoutAction", "reboot"),
        ("U:OnFailureIsolate=yes", "OnFailureJobMode", "isolate"),
        ("U:FailureActionExitStatus=256", "FailureActionExitStatus", "[not set]"),
        ("U:FailureActionExitStatus=7", "FailureActionExitStatus", "7"),
        ("TimerSlackNSec=infinity", "TimerSlackNSec", "50000"),
        ("CPUQuotaPeriodSec=10ms", "CPUQuotaPeriodUSec", "10ms"),
        ("MemoryMin=infinity", "MemoryMin", "18446744073709551615"),
        ("LimitFSIZE=+5", "LimitFSIZE", "5"),
        ("LimitNICE=1:infinity\nLimitNICE=7", "LimitNICE", "7"),
        ("LimitCORE=4\nLimitCORE=18446744073709551615", "LimitCORE", "4"),
        ("CPUWeight=+50", "CPUWeight", "50"),
        ("TimerSlackNSec=+5", "TimerSlackNSec", "5"),
        ("CPUAffinity='0' +2", "CPUAffinity", "0 2"),
        ("KillMode=process\nKillMode=", "KillMode", "control-group"),
        # Signals and exit statuses
        ("SuccessExitStatus=+3", "SuccessExitStatus", "3"),
        ("KillSignal=SIGIOT", "KillSignal", "15"),
        ("KillSignal=SIGCLD", "KillSignal", "15"),
        ("SuccessExitStatus=SIGRTMIN", "SuccessExitStatus", "RTMIN+0"),
        ("SuccessExitStatus=EXCEPTION", "SuccessExitStatus", "255"),
        # Scheduling
        ("CPUSchedulingPolicy=rr", "CPUSchedulingPriority", "1"),
        ("CPUSchedulingPolicy=rr\nCPUSchedulingPriority=7\nCPUSchedulingPolicy=fifo", "CPUSchedulingPriority", "7"),
        ("CPUSchedulingPolicy=rr\nCPUSchedulingPriority=7\nCPUSchedulingPolicy=other", "CPUSchedulingPriority", "0"),
        ("CPUSchedulingPriority=10", "CPUSchedulingPriority", "10"),
        ("IOSchedulingClass=none", "IOSchedulingClass", "2"),
        # Standard input and output
        ("StandardOutput=inherit", "StandardOutput", "journal"),
        ("StandardInput=tty", "StandardOutput", "inherit"),
        ("StandardInput=fd:foo", "StandardOutput", "inherit"),
        ("StandardInput=tty\nStandardOutput=null", "StandardOutput", "null"),
        ("StandardOutput=file:/tmp/../x", "StandardOutput", "journal"),
        ("StandardInputText=hi", "StandardInputData", "aGkK"),
        ("StandardInputText=hi", "StandardInput", "data"),
        ("StandardInputText=hi\nStandardInputText=", "StandardInput", "null"),
        ("StandardInput=null\nStandardInputData=aGVs bG8=", "StandardInput", "data"),
        ("StandardInputData=@@", "StandardInput", "null"),
        ("TTYPath=rel", "TTYPath", ""),
        # Paths
        ("PIDFile=/run//x", "PIDFile", "/run/x"),
        ("PIDFile=../x", "LoadState", "bad-setting"),
        ("WorkingDirectory=/tmp//x/", "WorkingDirectory", "/tmp/x"),
        ("WorkingDirectory=/tmp/../x", "LoadState", "bad-setting"),
        ("WorkingDirectory=--/tmp", "LoadState", "loaded"),
        ("RootDirectory=foo", "LoadState", "bad-setting"),
        ("U:SourcePath=rel", "SourcePath", ""),
        ("U:RequiresMountsFor=/a//b/ rel /c/../d", "RequiresMountsFor", "/a/b"),
        ("U:RequiresMountsFor=/x /x\nU:RequiresMountsFor=/x", "RequiresMountsFor", "/x"),
        ("ExecSearchPath=/x:/y\nExecSearchPath=/z/:rel\nExecSearchPath=/w//", "ExecSearchPath", "/x /y /w"),
        ("EnvironmentFile=/etc/../x\nEnvironmentFile=-/etc//y", "EnvironmentFiles", "/etc/y (ignore_errors=yes)"),
        ("ExecStart=/bin//echo", "ExecStart", "{ path=/bin/echo ; argv[]=/bin//echo ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"),
        # Lists
        ("Environment=A=b 'C=d", "Environment", "A=b"),
        ("Environment=A=b\\ c", "Environment", ""),
        ("Environment=A=b\\tc", "Environment", '"A=b\\tc"'),
        ("Environment=A=\x7f", "Environment", '"A=\\177"'),
        ("PassEnvironment=A junk-x B A A=1", "PassEnvironment", "A B"),
        ("UnsetEnvironment=A 1A A=1 A", "UnsetEnvironment", "A A=1"),
        ("U:Wants=junk b.service 'c.service' d", "Wants", "b.service"),
        ("U:Wants=a\\x2db.service", "Wants", '"a\\\\x2db.service"'),
        ('U:Documentation="https://x/y" man:x', "Documentation", "https://x/y man:x"),
        ("Slice=%p.slice", "Slice", "a.slice"),
        ("Slice=a.slice a.slice", "Slice", "system-a.slice"),
        ("Delegate=cpu memory", "Delegate", "yes"),
        ("Delegate=junk", "Delegate", "yes"),
        # Users and groups: an odd name is none that exists; what is no number of a user keeps the unit from loading.
        ("User=junk user", "User", "junk user"),
        ("User=65535", "LoadState", "bad-setting"),
        ("User=4294967295", "LoadState", "bad-setting"),
        ("Group=99999999999", "LoadState", "bad-setting"),
        ("User=a:b", "LoadState", "bad-setting"),
        ("SupplementaryGroups='adm' audio", "SupplementaryGroups", "\"'adm'\" audio"),
        # Directories
        ("StateDirectory=c a//b ./a", "StateDirectory", "a a/b c"),
        ("StateDirectory=. private private/a ../up /abs", "StateDirectory", ""),
        ("StateDirectory=a\\:b", "StateDirectory", "a:b"),
        ("StateDirectory=a\\x20b", "StateDirectory", '"a b"'),
        ("ConfigurationDirectory=a:b", "ConfigurationDirectory", ""),
        ("RuntimeDirectoryPreserve=true", "RuntimeDirectoryPreserve", "yes"),
        # Capabilities
        ("CapabilityBoundingSet=CHOWN CAP_KILL", "CapabilityBoundingSet", "cap_kill"),
        ("CapabilityBoundingSet='CAP_CHOWN'", "CapabilityBoundingSet", "cap_chown"),
        ("CapabilityBoundingSet=~\nCapabilityBoundingSet=CAP_CHOWN", "CapabilityBoundingSet", "cap_chown"),
        ("CapabilityBoundingSet=CAP_CHOWN\nCapabilityBoundingSet=junk", "CapabilityBoundingSet", ""),
        ("CapabilityBoundingSet=CAP_CHOWN CAP_KILL\nCapabilityBoundingSet=~CAP_KILL", "CapabilityBoundingSet", "cap_chown"),
        ("SecureBits=keep-caps\nSecureBits=noroot junk", "SecureBits", "1"),
        # Commands
        ("ExecStart=/bin/true\nExecStop=junk'", "LoadState", "loaded"),
        ("ExecStart=/bin/true it's", "LoadState", "bad-setting"),
        ("ExecStart=/bin/true %1", "LoadState", "bad-setting"),
        ("ExecStart=/bin/a\\\\b", "LoadState", "bad-setting"),
        ("ExecStart=\"/bin/a'b\"", "LoadState", "bad-setting"),
        ("Type=oneshot\nExecStart=-rel/x\nExecStart=/bin/true", "LoadState", "loaded"),
        ("Type=oneshot\nExecStart=-/bin/true ; rel/x", "LoadState", "bad-setting"),
        ("Type=oneshot\nExecStart=/bin/true ; -rel/x ; rel/y", "LoadState", "loaded"),
        ("Type=oneshot\nExecStart=/bin/true ; -/bin/true %1", "LoadState", "loaded"),
        ("BusName=junk", "Type", "simple"),
        # What keeps a unit from loading ends the reading.
        ("Restart=always\nWorkingDirectory=rel\nNice=5\nType=oneshot", "Nice", "0"),
        ("Restart=always\nWorkingDirectory=rel\nNice=5\nType=oneshot", "Restart", "always"),
        ("WorkingDirectory=rel\nType=oneshot", "Type", ""),
        ("Type=oneshot\nRestart=always", "Type", "oneshot"),
        ("U:Documentation=man:x(1)\\\\y man:é", "Documentation", '"man:x(1)\\\\\\\\y"'),
        ("Slice=a-b.slice\nEnvironment=A=%c%r%R", "Environment", "A=/a.slice/a-b.slice/a@x.service/a-b.slice"),
        ("Environment=A=%c,%r", "Environment", "A=/a@x.service,"),
    ],
)  # fmt: skip
def test_what_show_prints(text: str, name: str, value: str) -> None:
    assert shown(text)[name] == value


def test_what_show_leaves_out() -> None:
    assert "EnvironmentFiles" not in shown("EnvironmentFile=/etc/x\nEnvironmentFile=")


@pytest.mark.parametrize(
    ("text", "escapes", "words"),
    [
        ("a\\tb 'c d'", "relaxed", ["a\tb", "c d"]),
        ("a\\qb", "relaxed", ["a\\qb"]),
        ("a\\qb\\ c", "plain", ["aqb c"]),
        ("a\\x2db 'c d'", "keep", ["a\\x2db", "c d"]),
        ("a\\x2db", "strict", ["a-b"]),
    ],
)
def test_splitting(text: str, escapes: str, words: list[str]) -> None:
    assert [word.text for word in split(text, escapes)] == words  # type: ignore[arg-type]


def test_semicolons() -> None:
    commands = parse_command_line("/a ; /b \\; '\\;' \";\" x;", str)
    assert [c.argv for c in commands] == [("/a",), ("/b", ";", "\\;", ";", "x;")]


@pytest.mark.parametrize(("word", "argument"), [("$$${$$V$V", "$${$$V$V"), ("${V", "${V"), ("a${V}${", "aone${"), ("${V}$$", "one$"), ("$${V}", "${V}")])
def test_a_variable_that_is_not_closed(word: str, argument: str) -> None:
    (command,) = parse_command_line("/a", str)
    command = msgspec.structs.replace(command, argv=("/a", word))
    assert expand_argv(command, {"V": "one"})[1] == argument


@pytest.mark.parametrize(("value", "words"), [("'a b' c\\nd", ["a b", "cnd"]), ("a\\ b", ["a b"]), ("'a b", ["a b"])])
def test_a_variable_as_a_word_of_its_own(value: str, words: list[str]) -> None:
    (command,) = parse_command_line("/a $V", str)
    assert list(expand_argv(command, {"V": value}))[1:] == words


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('A="b" c\n', "bc"), ("A='b'\"c\"\n", "bc"), ("A='b' 'c'\n", "bc"), ("A='' B\n", "B"), ("A=x\\", "x"), ('A=b"c d"\n', 'b"c d"'), ("A=b 'c'\n", "b 'c'"),
        ('A="b"  \n', "b"), ("A=b \\\n c\n", "b  c"), ('A="b\\\nc"\n', "bc"), ("A='b\\'\n", "b\\"), ("A=b\\ \n", "b "), ("A=\\ b\n", " b"), ('A="b\\tc"\n', "b\\tc"),
    ],
)  # fmt: skip
def test_environment_files(text: str, value: str) -> None:
    assert parse_env_file(text) == [("A", value)]


@pytest.mark.parametrize("instance", ["-a", "a-", "a--b", "..", "a\\\\b", "a\\xzz"])
def test_an_instance_that_is_no_path(instance: str) -> None:
    assignments, _ = lex("[Service]\nExecStart=/bin/true %f\n", "/u/a@.service")
    built, _problems = build(f"a@{instance}.service", assignments, "/u/a@.service", HostFacts(), Defaults())
    assert built.load_state == "bad-setting"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("/home/a b", "home-a\\x20b.mount"), ("/dev/sda", "dev-sda.device"), ("/sys/x", "sys-x.device"), ("/dev", "dev.mount"), ("/", "-.mount"), ("/.", "-.mount"),
        ("a/b", "a-b.service"), ("./a", ".-a.service"), ("/..", "-...service"), ("é.socket", "\\xc3\\xa9.socket"), ("a.foo", "a.foo.service"),
    ],
)  # fmt: skip
def test_names_as_they_are_typed(typed: str, name: str) -> None:
    assert names.mangle(typed) == name
    assert unit_names([typed]) == [name]


@pytest.mark.parametrize(("text", "name"), [("a-b", "a@a\\x2db.service"), ("b/c", "a@b-c.service"), ("\\x2d", "a@\\x5cx2d.service"), (".", "a@\\x2e.service"), ("@", "a@\\x40.service")])
def test_templates_filled_in_with_any_text(text: str, name: str) -> None:
    assert names.fill("a@.service", text) == name


@pytest.mark.parametrize("text", ["", "x" * 260])
def test_what_no_template_takes(text: str) -> None:
    with pytest.raises(ValueProblem):
        names.fill("a@.service", text)


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("a.timer", "[Timer]\nOnActiveSec=5\n", "TimersCalendar", None),
        ("a.timer", "[Timer]\nOnCalendar=daily\n", "TimersMonotonic", None),
        ("a.timer", "[Timer]\nOnActiveSec=5\nUnit=b.service\nUnit=c.service\nUnit=\n", "Unit", "b.service"),
        ("a.timer", "[Timer]\nOnActiveSec=5\nUnit=b@.service\n", "Unit", "b@a.service"),
        ("a.path", "[Path]\nPathExists=/a\nPathChanged=/b//c\n", "Paths", "/b/c (PathChanged)\n/a (PathExists)"),
        ("a.path", "[Path]\nPathExists=rel\n", "Paths", None),
    ],
)
def test_what_show_prints_of_triggers(name: str, text: str, key: str, value: str | None) -> None:
    assignments, _ = lex(text, f"/u/{name}")
    built, _problems = build(name, assignments, f"/u/{name}", HostFacts(), Defaults())
    assert properties(built, Record(name), {}).get(key) == value
