"""Descriptors that are kept free: what services need may use up all others, but not those by which unitd answers, logs and stops."""

from __future__ import annotations

import errno
import os
import resource

#: So many are kept free, or a quarter where there are few.
RESERVE = 128


#: So many can be passed to one process: one message to the warden carries 250, and some of them are unitd's own.
MOST_PASSED = 240


def check_passed(count: int) -> None:
    """Raises OSError (E2BIG) for a process that would get more descriptors than a message can carry."""
    if count > MOST_PASSED:
        raise OSError(errno.E2BIG, f"it would get {count} descriptors, and {MOST_PASSED} is the most; try fewer sockets, or a smaller FileDescriptorStoreMax=")


def check(coming: int = 0, role: str = "") -> None:
    """Raises OSError (EMFILE) when no descriptor is left for a service. The lowest free number tells: all below it are in use.

    `coming` are those that are sure to be received. For stopping, a `role` of its own, there is always room.
    """
    if role in ("ExecStop", "ExecStopPost"):
        return
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return
    lowest = os.dup(0)
    os.close(lowest)
    if lowest + coming >= limit - min(RESERVE, limit // 4):
        raise OSError(errno.EMFILE, f"the {limit} files that unitd may have open are in use; try a higher LimitNOFILE= or ulimit -n for unitd")
