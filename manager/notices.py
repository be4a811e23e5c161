"""What the service machine makes of sd_notify messages. Pure (sd_notify(3))."""

from __future__ import annotations

import errno

from unitd.manager.deadlines import watchdog_hit
from unitd.manager.states import Notified
from unitd.manager.transitions import DOWN, RELOADING, Step


def notified(st: Step, event: Notified) -> None:
    """One accepted message (sd_notify(3)); the executor has checked the sender, NotifyAccess= and MAINPID=."""
    f, r = event.fields, st.r
    if "STATUS" in f:
        r.status_text = f["STATUS"]
    number = errno_of(f.get("ERRNO", ""))
    if number is not None:
        r.status_errno = number
    if f.get("NOTIFYACCESS") in ("none", "main", "exec", "all"):
        r.notify_access = f["NOTIFYACCESS"]
    pid = number_of(f.get("MAINPID", ""))
    if pid is not None and pid != r.main_pid and r.sub not in DOWN:
        r.main_pid = r.exec_main_pid = pid
        r.main_token, r.main_alien, r.main_known = f"pid:{pid}", True, False
    usec = number_of(f.get("WATCHDOG_USEC", ""))
    if usec is not None:
        r.watchdog_usec = usec
        if r.sub in ("start-post", "running", *RELOADING):
            st.start_watchdog()
    if f.get("WATCHDOG") == "1" and "watchdog" in r.deadlines:
        st.start_watchdog()
    more = number_of(f.get("EXTEND_TIMEOUT_USEC", ""))
    if more is not None:
        extend(st, more / 1e6)
    if f.get("RELOADING") == "1":
        r.notify_state = "reloading"
        if r.sub == "running":
            st.enter("reload", st.s.timeout_start)
        elif r.sub == "reload-signal":
            st.enter("reload-notify", st.s.timeout_start)
    if f.get("READY") == "1":
        r.ready = True
        if r.sub == "start" and st.s.type in ("notify", "notify-reload"):
            r.notify_state = ""
            st.enter_start_post()
        elif r.sub == "reload-notify" or (r.sub == "reload" and r.notify_state == "reloading" and not st.control_alive):
            r.notify_state = ""
            st.finish("reload", "done" if r.reload_result == "success" else "failed")
            st.enter_running("success")
        elif r.sub != "reload-signal":
            r.notify_state = ""
    if f.get("STOPPING") == "1":
        r.notify_state = "stopping"
        if r.sub == "running":
            st.enter_stop_by_notify()
    if f.get("WATCHDOG") == "trigger" and r.sub not in DOWN:
        watchdog_hit(st)


def number_of(text: str) -> int | None:
    """An unsigned number of 64 bits in decimal digits; None for anything else, which is as if it had not been said."""
    number = int(text) if len(text) <= 20 and text.isascii() and text.isdigit() else -1
    return number if 0 <= number < 1 << 64 else None


def errno_of(text: str) -> int | None:
    """ERRNO=: a number up to 4095, as C writes it, or a name such as ENOENT in any case; None for anything else."""
    try:
        number = int(text, 0) if text == text.rstrip() and len(text) <= 20 else -1
    except ValueError:
        return next((number for number, name in errno.errorcode.items() if name == text.upper()), None)
    return number if 0 <= number <= 4095 else None


def extend(st: Step, seconds: float) -> None:
    """EXTEND_TIMEOUT_USEC= moves a running start, stop or runtime deadline later, never earlier."""
    for name in ("state", "runtime"):
        armed = st.r.deadlines.get(name)
        if armed is not None and armed[0] < st.now + seconds:
            st.arm(name, seconds)
