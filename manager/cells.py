"""Cells that stand in the tables of services and of sockets alike: jobs that are over at once, and what a stop is for. Pure."""

from __future__ import annotations

from unitd.manager.states import Start, Stop
from unitd.manager.transitions import Step


def start_up(st: Step, event: Start) -> None:
    """It is up already."""
    st.finish("start", "done")


def stop_down(st: Step, event: Stop) -> None:
    """It is down already."""
    st.finish("stop", "done")


def stop_requested(st: Step, event: Stop) -> None:
    """Remember whether a start follows: what a restart finds again is not removed."""
    st.r.stop_requested = "restart" if event.restart else "stop"
