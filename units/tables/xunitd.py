"""[X-Unitd]: what systemd has no directive for."""

from __future__ import annotations

from unitd.units.tables.row import rows

_HONOURED = """
Instances|level:0:1000|service.instances|0|Workers NAME@1 to NAME@N of a template, which NAME-pool.target starts and stops together.
LogMaxSize|logsize|log.max_size|16M|Size at which captured output is rotated; infinity: never.
LogMaxFiles|level:1:10000|log.max_files|5|Files of captured output that are kept, the current one included.
LogMaxAge|logage|log.max_age|infinity|Age at which captured output is rotated, and removed when it is over again.
LogCompress|logcompress|log.compress|no|Compress rotated output: no, yes, zstd or gzip.
LogStreams|enum:merged,separate|log.streams|merged|Whether stdout and stderr share a pipe, in exact order, or have one each and can be told apart.
"""
ROWS = (*rows("X-Unitd", _HONOURED),)
