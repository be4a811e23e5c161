"""Readers of [X-Unitd] values about captured output."""

from __future__ import annotations

from unitd.units.builder import Reader
from unitd.units.logvalues import log_age, log_compress, log_size
from unitd.units.readers.scalars import scalar

READERS: dict[str, Reader] = {"logsize": scalar(log_size), "logage": scalar(log_age), "logcompress": scalar(log_compress)}
