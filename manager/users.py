"""User=, Group= and SupplementaryGroups= looked up on this machine (systemd.exec(5))."""

from __future__ import annotations

import grp
import os
import pwd

import msgspec

from unitd.units.model import ExecContext

USER, GROUP = 217, 216


class UserError(Exception):
    """No such user or group, or not ours to become. `exit_code` is what the process would have ended with: 217 or 216."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UserFacts(msgspec.Struct, frozen=True):
    """Who a command runs as. None: as the manager. `name`, `home` and `shell` are empty without User=."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None  # None: leave as they are
    name: str = ""
    home: str = ""
    shell: str = ""
    own_groups: tuple[int, ...] | None = None  # those that come with the user, without SupplementaryGroups=


def resolve_user(context: ExecContext, own_uid: int | None = None) -> UserFacts:
    """Look up whom the unit runs as; `own_uid` is the manager's. Raises UserError."""
    me = os.geteuid() if own_uid is None else own_uid
    name, home, shell = "", "", ""
    uid: int | None = None
    gid: int | None = None
    if context.user:
        entry = _user(context.user, me)
        uid, gid = entry.pw_uid, entry.pw_gid
        name, home, shell = entry.pw_name, entry.pw_dir, entry.pw_shell
    if context.group:
        gid = _group(context.group)
    extra = [_group(g) for g in context.supplementary_groups]
    if me != 0:
        if uid not in (None, me):
            raise UserError(USER, f"cannot run as {context.user}, because the manager is not root")
        mine = {os.getegid(), *os.getgroups()}
        if context.group and gid not in mine:
            raise UserError(GROUP, f"cannot run with group {context.group}, because the manager is not root")
        if not mine.issuperset(extra):
            raise UserError(GROUP, "cannot set SupplementaryGroups=, because the manager is not root")
        return UserFacts(None, None, None, name, home, shell)
    groups: list[int] = []
    own: tuple[int, ...] | None = None
    if context.user and gid != 0:
        groups += os.getgrouplist(name, gid if gid is not None else 0)
        own = tuple(groups)
    groups += [g for g in extra if g not in groups]
    return UserFacts(uid, gid, tuple(groups), name, home, shell, own)


def _user(text: str, me: int) -> pwd.struct_passwd:
    if text in ("nobody", "65534"):  # systemd makes this one up, whatever the database says: it has no home
        return pwd.struct_passwd(("nobody", "x", 65534, 65534, "", "/", "/usr/sbin/nologin"))
    try:
        return pwd.getpwnam(text)
    except KeyError:
        pass
    if text.isdigit() and int(text) < 2**32 - 1:
        try:
            return pwd.getpwuid(int(text))
        except KeyError:
            if int(text) == me:  # a container may run as a user that is in no database
                return pwd.struct_passwd((text, "x", int(text), os.getegid(), "", "/", "/usr/sbin/nologin"))
    raise UserError(USER, f"cannot run as {text}, because there is no such user")


def _group(text: str) -> int:
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        try:
            if text.isdigit() and int(text) < 2**32 - 1 and (int(text) == os.getegid() or grp.getgrgid(int(text))):
                return int(text)
        except KeyError:
            pass
    raise UserError(GROUP, f"cannot use group {text}, because there is no such group")
