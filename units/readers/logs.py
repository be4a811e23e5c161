"""Readers of [X-Unitd] values about captured output."""

from __future__ import annotations

from unitd.units.builder import Reader
from unitd.units.logvalues import log_age, log_compress, log_size
from unitd.units.readers.scalars import resettable

READERS: dict[str, Reader] = {"logsize": resettable(log_size), "logage": resettable(log_age), "logcompress": resettable(log_compress)}
