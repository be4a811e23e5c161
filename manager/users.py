"""User=, Group= and SupplementaryGroups= against the user database."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from unitd.units.model import ExecContext


class UserError(Exception):
    """A user or group that does not exist or cannot be taken. `exit_code` is 217 (USER) or 216 (GROUP)."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class UserFacts:
    """Who a process runs as; `uid` and `gid` None: as the manager does."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    name: str = ""
    home: str = ""
    shell: str = ""


def resolve_user(context: ExecContext) -> UserFacts:
    """Numbers and home of User=, Group= and SupplementaryGroups=. Raises UserError."""
    if not (context.user or context.group or context.supplementary_groups):
        return UserFacts()
    uid = gid = None
    name = home = shell = ""
    if context.user:
        try:
            entry = pwd.getpwuid(int(context.user)) if context.user.isdigit() else pwd.getpwnam(context.user)
            uid, gid, name, home, shell = entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir, entry.pw_shell
        except KeyError:
            if not context.user.isdigit():
                raise UserError(217, f"cannot run as User={context.user}, because there is no such user") from None
            uid = int(context.user)
    if context.group:
        gid = _group(context.group)
    if os.geteuid() != 0:
        if uid not in (None, os.getuid()):
            raise UserError(217, f"cannot run as User={context.user}, because unitd is not root")
        return UserFacts(None, None, None, name, home, shell)
    extra = [_group(g) for g in context.supplementary_groups]
    groups = tuple(sorted({*(os.getgrouplist(name, gid) if name and gid is not None else []), *extra}))
    return UserFacts(uid, gid, groups if uid is not None or extra else None, name, home, shell)


def _group(text: str) -> int:
    try:
        return int(text) if text.isdigit() else grp.getgrnam(text).gr_gid
    except KeyError:
        raise UserError(216, f"cannot use the group {text}, because there is no such group") from None
