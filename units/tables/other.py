"""Unit types that unitd reads but does not run: [Mount], [Automount], [Swap], [Scope]."""

from __future__ import annotations

from unitd.units.tables.row import noted

_MOUNT = """
What|path||What is mounted.
Where|path||Where it is mounted.
Type|word||Type of the file system.
Options|text||Mount options.
SloppyOptions|boolean|no|Tolerate unknown options.
LazyUnmount|boolean|no|Detach at once, clean up later.
ReadWriteOnly|boolean|no|Do not fall back to read-only.
ForceUnmount|boolean|no|Unmount by force.
DirectoryMode|mode|0755|Mode of the mount point when it is made.
TimeoutSec|time span|90s|How long the mount command may take.
"""
_AUTOMOUNT = """
Where|path||Where the mount is triggered.
ExtraOptions|text||Further mount options.
DirectoryMode|mode|0755|Mode of the mount point when it is made.
TimeoutIdleSec|time span|0|Idle time after which it is unmounted.
"""
_SWAP = """
What|path||The swap device or file.
Priority|number||Priority of the swap.
Options|text||Options of the swap.
TimeoutSec|time span|90s|How long swapon may take.
"""
_SCOPE = """
RuntimeMaxSec|time span|infinity|How long the scope may last.
RuntimeRandomizedExtraSec|time span|0|Random addition to it.
TimeoutStopSec|time span|90s|How long a stop may take.
OOMPolicy|word|continue|What an out-of-memory kill leads to.
"""
ROWS = (*noted("Scope", _SCOPE), *noted("Mount", _MOUNT), *noted("Automount", _AUTOMOUNT), *noted("Swap", _SWAP))
