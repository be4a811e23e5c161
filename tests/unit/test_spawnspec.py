"""Specs from units: environment order, stdio, privileges (cases env and exec)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from unitd.manager import users
from unitd.manager.spawnspec import DEFAULT_PATH, SpawnContext, build, environment
from unitd.manager.users import UserError, UserFacts, resolve_user
from unitd.units.model import Command, ExecContext, ExecDirectory, ServiceSection, Unit
from unitd.units.specifiers import HostFacts

NOBODY = UserFacts(65534, 65534, (65534,), "nobody", "/", "/usr/sbin/nologin", (65534,))
HOST = HostFacts(uid=0)


def unit(**fields: Any) -> Unit:
    return Unit("a.service", exec=ExecContext(**fields))


def spec_of(u: Unit, command: Command | None = None, role: str = "ExecStart", **more: Any) -> dict[str, Any]:
    context = SpawnContext(**{"token": "t", "log_fd": 0, "host": HOST, **more})
    return dict(build(u, command or Command("/bin/true", ("/bin/true",)), role, context)[0])


def test_bare_environment() -> None:
    base = {"LANG": "C.UTF-8", "HOME": "/root", "NOTIFY_SOCKET": "/x", "SECRET": "1", "PATH": "/odd"}
    env = environment(unit(), SpawnContext("t", base_env=base, invocation="ab" * 16))
    assert env == {"LANG": "C.UTF-8", "PATH": DEFAULT_PATH, "INVOCATION_ID": "ab" * 16, "SYSTEMD_EXEC_PID": ""}


def test_user_variables() -> None:
    env = environment(unit(), SpawnContext("t", user=NOBODY))
    assert env == {"PATH": DEFAULT_PATH, "USER": "nobody", "LOGNAME": "nobody", "SYSTEMD_EXEC_PID": ""}
    env = environment(unit(), SpawnContext("t", user=UserFacts(1000, 1000, (1000,), "joe", "/home/joe", "/bin/sh")))
    assert (env["HOME"], env["SHELL"]) == ("/home/joe", "/bin/sh")
    env = environment(unit(), SpawnContext("t", user=UserFacts(42, 65534, (), "_apt", "/nonexistent", "/usr/sbin/nologin")))
    assert env["HOME"] == "/nonexistent" and "SHELL" not in env
    assert "TERM" not in environment(unit(), SpawnContext("t"))
    assert environment(unit(tty_path="/dev/tty3"), SpawnContext("t"))["TERM"] == "linux"
    assert environment(unit(standard_output="tty"), SpawnContext("t"))["TERM"] == "vt220"


def test_order_of_sources() -> None:
    u = unit(
        pass_environment=("A", "B", "NONE"),
        environment=(("B", "unit"), ("C", "unit"), ("D", "unit"), ("E", "1"), ("F", "1"), ("INVOCATION_ID", "mine")),
        unset_environment=("D", "E=2", "F=1"),
    )
    base = {"A": "pass", "B": "pass", "X": "1"}
    env = environment(u, SpawnContext("t", base_env=base, invocation="i", env_files=[("C", "file1"), ("C", "file2")]))
    del env["PATH"], env["SYSTEMD_EXEC_PID"]
    assert env == {"A": "pass", "B": "unit", "C": "file2", "E": "1", "INVOCATION_ID": "mine"}


def test_variables_that_are_passed_on_win_over_the_users() -> None:
    env = environment(unit(pass_environment=("USER",)), SpawnContext("t", base_env={"USER": "root"}, user=NOBODY))
    assert (env["USER"], env["LOGNAME"]) == ("root", "nobody")


def test_unprivileged_manager_passes_its_environment_on() -> None:
    base = {"HOME": "/home/joe", "PATH": "/p", "UNITD_X": "1", "NOTIFY_SOCKET": "/n", "XDG_RUNTIME_DIR": "/run/user/1"}
    context = SpawnContext("t", base_env=base, host=HostFacts(uid=1, home="/home/joe"))
    assert environment(unit(), context) == {"HOME": "/home/joe", "PATH": "/p", "XDG_RUNTIME_DIR": "/run/user/1", "SYSTEMD_EXEC_PID": ""}
    assert build(unit(), Command("/x", ("x",)), "ExecStart", context)[0]["cwd"] == "/home/joe"


def test_what_the_service_is_told() -> None:
    context = SpawnContext(
        "t",
        notify_socket="/n",
        watchdog_usec=5,
        main_pid=7,
        service_result="exit-code",
        exit_code="exited",
        exit_status="3",
        monitor={"MONITOR_UNIT": "b.service"},
        listen=[("a", 2), ("b", 3)],
    )
    env = environment(unit(), context)
    expected = {
        "NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "", "MAINPID": "7", "SERVICE_RESULT": "exit-code",
        "EXIT_CODE": "exited", "EXIT_STATUS": "3", "MONITOR_UNIT": "b.service", "LISTEN_PID": "",
        "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b",
    }  # fmt: skip
    assert {k: v for k, v in env.items() if k not in ("PATH", "SYSTEMD_EXEC_PID")} == expected
    assert spec_of(unit(), listen=[("a", 2), ("b", 3)])["listen"] == [2, 3]


def test_expansion_uses_the_final_environment() -> None:
    u = unit(environment=(("A", "x y"), ("B", "b")), unset_environment=("B",))
    assert spec_of(u, Command("/e", ("e", "$A", "${A}", "-$A", "${B}")))["argv"] == ["e", "x", "y", "x y", "-$A", ""]
    assert spec_of(u, Command("/e", ("e", "$A"), expand=False))["argv"] == ["e", "$A"]


def test_directories() -> None:
    u = unit(directories={"State": ExecDirectory(("a", "a/b"), 0o700), "Runtime": ExecDirectory(("r",))})
    spec = spec_of(u, user=NOBODY)
    assert spec["directories"] == [
        ["Runtime", "/run/r", 0o755, 65534, 65534],
        ["State", "/var/lib/a", 0o700, 65534, 65534],
        ["State", "/var/lib/a/b", 0o700, 65534, 65534],
    ]
    assert "STATE_DIRECTORY=/var/lib/a:/var/lib/a/b" in spec["env"]
    assert "RUNTIME_DIRECTORY=/run/r" in spec["env"]


STDIO = ("stdin", "stdout", "stderr", "stdin_path", "stdout_path", "stdout_mode", "stderr_path", "stderr_mode")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("null", "journal", "inherit"), {"stdout": 0}),
        (("null", "inherit", "inherit"), {"stdout": 0}),
        (("file:/in", "inherit", "inherit"), {"stdin_path": "/in", "stdout": 0}),
        (("null", "null", "null"), {}),
        (("null", "null", "inherit"), {}),
        (("null", "journal", "null"), {"stdout": 0, "stderr_path": "/dev/null", "stderr_mode": "file"}),
        (("null", "null", "journal"), {"stderr": 0}),
        (("null", "truncate:/l", "inherit"), {"stdout_path": "/l", "stdout_mode": "truncate"}),
        (("null", "append:/l", "append:/l"), {"stdout_path": "/l", "stdout_mode": "append"}),
        (
            ("null", "append:/l", "file:/m"),
            {"stdout_path": "/l", "stdout_mode": "append", "stderr_path": "/m", "stderr_mode": "file"},
        ),
        (("null", "truncate:/l", "append:/l"), {"stdout_path": "/l", "stdout_mode": "truncate", "stderr_path": "/l", "stderr_mode": "append"}),
        (("file:/l", "file:/l", "inherit"), {"stdin_path": "/l", "stdout_path": "/l", "stdout_mode": "stdin"}),
        (("file:/l", "append:/l", "null"), {"stdin_path": "/l", "stdout_path": "/l", "stdout_mode": "append", "stderr_path": "/dev/null", "stderr_mode": "file"}),
        (("socket", "inherit", "journal"), {"stdin": 5, "stdout": 5, "stderr": 0}),
        (("socket", "inherit", "inherit"), {"stdin": 5, "stdout": 5}),
        (("data", "journal", "inherit"), {"stdin": 4, "stdout": 0}),
    ],
)
def test_stdio(settings: tuple[str, str, str], expected: dict[str, Any]) -> None:
    u = unit(standard_input=settings[0], standard_output=settings[1], standard_error=settings[2])
    spec = spec_of(u, socket_fd=5, stdin_fd=4)
    assert {k: v for k, v in spec.items() if k in STDIO} == expected


def test_streams_apart_and_nothing_captured() -> None:
    assert {k: v for k, v in spec_of(unit(), log_err_fd=1).items() if k in STDIO} == {"stdout": 0, "stderr": 1}
    assert {k: v for k, v in spec_of(unit(), log_fd=None).items() if k in STDIO} == {}


def test_a_descriptor_that_is_not_there() -> None:
    for setting in ("standard_input", "standard_output", "standard_error"):
        with pytest.raises(FileNotFoundError, match="=fd:x"):
            build(unit(**{setting: "fd:x"}), Command("/x", ("x",)), "ExecStart", SpawnContext("t"))


def test_groups_by_prefix() -> None:
    facts = resolve_user(ExecContext(user="daemon", supplementary_groups=("adm",)), 0)
    only = resolve_user(ExecContext(group="daemon", supplementary_groups=("adm",)), 0)
    for privilege, groups, without_user in (("", [1, 4], [4]), ("!!", [1, 4], [4]), ("!", [1], None), ("+", [1], None)):
        command = Command("/x", ("x",), privilege=privilege)
        assert spec_of(unit(), command, user=facts)["groups"] == groups
        assert spec_of(unit(), command, user=only).get("groups") == without_user


def test_privileges_by_prefix() -> None:
    caps = {"ambient_capabilities": frozenset({10}), "capability_bounding_set": frozenset({10, 0})}
    u = unit(limits={"NOFILE": (1, None)}, no_new_privileges=True, nice=3, **caps)
    keys = {"uid", "gid", "groups", "limits", "no_new_privs", "cap_ambient", "cap_bound", "nice"}

    def got(privilege: str) -> dict[str, Any]:
        spec = spec_of(u, Command("/x", ("x",), privilege=privilege), user=NOBODY)
        return {k: v for k, v in spec.items() if k in keys}

    full = {
        "uid": 65534, "gid": 65534, "groups": [65534], "limits": {"NOFILE": [1, -1]}, "no_new_privs": True, "nice": 3,
        "cap_ambient": [10], "cap_bound": [0, 10],
    }  # fmt: skip
    assert got("") == got("!!") == full
    assert got("!") == {k: v for k, v in full.items() if k not in ("uid", "gid")}
    assert got("+") == {"groups": [65534], "nice": 3}


def test_scheduling_and_places() -> None:
    sched = {"cpu_scheduling_policy": 2, "cpu_scheduling_priority": 5, "cpu_affinity": frozenset({1, 0})}
    u = unit(io_scheduling_class=2, io_scheduling_priority=2, **sched)
    spec = spec_of(u, Command("true", ("true",)), cgroup="/c")
    assert (spec["ioprio"], spec["sched"], spec["affinity"], spec["cgroup"]) == (2 << 13 | 2, [2, 5, 0], [0, 1], "/c")
    assert spec["search_path"] == DEFAULT_PATH.split(":")
    assert (spec["umask"], spec["cwd"], spec["ignore_sigpipe"]) == (0o022, "/", True)
    assert spec_of(unit(working_directory="~"))["cwd"] == "/root"
    u = replace(unit(root_directory="/r"), service=ServiceSection(root_directory_start_only=True))
    assert spec_of(u)["chroot"] == "/r"
    assert "chroot" not in spec_of(u, role="ExecStop")


def test_users_as_root() -> None:
    facts = resolve_user(ExecContext(user="nobody", group="daemon", supplementary_groups=("adm", "audio")), 0)
    assert (facts.uid, facts.gid, facts.groups) == (65534, 1, (1, 4, 29))
    assert resolve_user(ExecContext(group="daemon"), 0) == UserFacts(None, 1, ())
    assert resolve_user(ExecContext(supplementary_groups=("audio",)), 0).groups == (29,)
    assert resolve_user(ExecContext(user="1"), 0).name == "daemon"
    assert resolve_user(ExecContext(user="daemon", group="root"), 0).groups == ()  # the user's groups come with a group that is not root's
    assert resolve_user(ExecContext(user="root", group="daemon"), 0).groups == (1,)
    for user in ("no-such-user", "54321", "4294967294"):
        with pytest.raises(UserError) as no_user:
            resolve_user(ExecContext(user=user), 0)
        assert no_user.value.exit_code == users.USER
    for group in ("no-such-group", "54321"):
        with pytest.raises(UserError) as no_group:
            resolve_user(ExecContext(group=group), 0)
        assert no_group.value.exit_code == users.GROUP


def test_users_without_root() -> None:
    assert resolve_user(ExecContext(user="nobody"), 65534) == UserFacts(None, None, None, "nobody", "/", "/usr/sbin/nologin")
    assert resolve_user(ExecContext(user="54321"), 54321).name == "54321"  # a container's user need not be in a database
    with pytest.raises(UserError) as refused:
        resolve_user(ExecContext(user="root"), 65534)
    assert refused.value.exit_code == users.USER


def test_terminals() -> None:
    spec = spec_of(unit(standard_input="tty-force", standard_output="inherit", tty_path="/dev/tty9", tty_reset=True))
    assert spec["tty"] == ["/dev/tty9", "tty-force", True, False]
    assert (spec["stdout_path"], spec["stdout_mode"]) == ("/dev/tty9", "tty")
    assert "stderr_path" not in spec  # as standard output
    spec = spec_of(unit(standard_output="tty", standard_error="journal"), log_fd=3)
    assert (spec["tty"][1], spec["stdout_path"], spec["stderr"]) == ("", "/dev/console", 3)


def test_symlinks_and_credentials() -> None:
    u = unit(directories={"State": ExecDirectory(("a",), 0o700, (("a", "b/c"),))})
    spec = spec_of(u, credentials="/run/credentials/x")
    assert spec["links"] == [["/var/lib/b/c", "/var/lib/a"]]
    assert "CREDENTIALS_DIRECTORY=/run/credentials/x" in spec["env"]
