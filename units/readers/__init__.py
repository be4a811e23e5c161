"""Readers of values, by kind: a module has READERS, kind -> reader; they are joined here."""

from __future__ import annotations

from unitd.units.builder import Reader
from unitd.units.readers import context, lists, logs, resource, scalars, socket, triggers

#: Kind of a directive -> its reader.
READERS: dict[str, Reader] = {
    **scalars.READERS,
    **lists.READERS,
    **context.READERS,
    **resource.READERS,
    **logs.READERS,
    **socket.READERS,
    **triggers.READERS,
}
