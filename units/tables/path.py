"""[Path] (systemd.path(5))."""

from __future__ import annotations

from unitd.units.tables.row import rows

ROWS = (
    *rows(
        "Path",
        """
        PathExists|watch|path.specs||Activates the unit while the path exists. May be given several times, as all of these; an empty line resets all.
        PathExistsGlob|watch|path.specs||Activates the unit while a path exists that fits the pattern.
        PathChanged|watch|path.specs||Activates the unit when the path changes; not at every write, but when a file that was written is closed.
        PathModified|watch|path.specs||The same, and at every write.
        DirectoryNotEmpty|watch|path.specs||Activates the unit while the directory has anything in it.
        Unit|trigger|path.unit||The unit to activate; without it, the service of the same name.
        MakeDirectory|bool|path.make_directory|no|Makes the directories to be watched before watching; not for PathExists= and PathExistsGlob=.
        DirectoryMode|mode|path.directory_mode|0755|Mode of these directories.
        TriggerLimitIntervalSec|span|path.trigger_limit_interval|2s|At most TriggerLimitBurst= activations within this time; more than that, and the path unit fails. 0 switches the limit off.
        TriggerLimitBurst|int:0:4294967295|path.trigger_limit_burst|200|See TriggerLimitIntervalSec=.
        """,
    ),
)
