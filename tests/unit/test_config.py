"""unitd.conf."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from unitd.manager.config import Config, ConfigError, default_path, load, parse


def problems(*lines: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(list(lines), "/c")
    return caught.value.problems


def test_nothing_means_defaults(tmp_path: Path) -> None:
    assert load(str(tmp_path / "none")) == Config() == parse([])
    with pytest.raises(ConfigError, match="no such file"):
        load(str(tmp_path / "none"), required=True)


def test_every_key_is_typed() -> None:
    config = parse(
        [
            "# a comment",
            "unit_path = /a:/b/../c, /d",
            "runtime_dir = /r/",
            'log_dir = "/l"',
            "start = a.service, b.service",
            "log_level = debug",
            "sandbox = strict",
            "log_max_size = 1.5M",
            "log_max_files = 3",
            "log_compress = zstd",
            "log_max_age = 2 days",
            "log_sync = 5min",
            "log_rate_limit_interval = 30s",
            "log_rate_limit_burst = 1000",
            "default_timeout_start = infinity",
            "default_timeout_stop = 1min 30s",
            "default_restart_sec = 2",
            "default_start_limit_interval = 1h",
            "default_start_limit_burst = 0",
            "stop_timeout = 5min",
        ]
    )
    assert config.unit_path == ("/a", "/c", "/d")
    assert (config.runtime_dir, config.log_dir, config.start) == ("/r", "/l", "a.service,b.service")
    assert (config.log_level, config.sandbox) == ("debug", "strict")
    assert (config.log_max_size, config.log_max_files, config.log_compress) == (1572864, 3, "zstd")
    assert (config.log_max_age, config.log_sync) == (172800.0, "300.0")
    assert (config.log_rate_limit_interval, config.log_rate_limit_burst) == (30.0, 1000)
    assert config.default_timeout_start is None and config.default_timeout_stop == 90.0 and config.stop_timeout == 300.0
    defaults = config.defaults()
    assert math.isinf(defaults.timeout_start) and defaults.restart_sec == 2.0 and defaults.start_limit_burst == 0


def test_it_survives_the_way_to_the_manager() -> None:
    for config in (Config(), parse(["default_timeout_start = infinity", "unit_path = /a"])):
        assert msgspec.json.decode(msgspec.json.encode(config), type=Config) == config


def test_every_mistake_is_said_with_its_line() -> None:
    wrong = [
        "", "log_levl = info", "log_max_files = many", "sandbox = none", "default_restart_sec = soon", "unit_path = rel", "[x]", "a = 1",
    ]  # fmt: skip
    assert problems(*wrong) == [
        "/c:2: log_levl is not a key of unitd.conf (did you mean log_level?)",
        '/c:3: log_max_files: the value "many" is of the wrong type (write a number)',
        '/c:4: sandbox: the value "none" is unacceptable (write one of lenient, strict)',
        "/c:5: default_restart_sec: cannot read 'soon' as a time span (write a time span such as 5s, 1min 30s or infinity)",
        "/c:6: unit_path: 'rel' is not an absolute path (begin with /)",
        "/c:7: [x] is not a section of unitd.conf (write the keys without a section)",
    ]


def test_what_is_no_assignment_and_what_comes_twice() -> None:
    found = problems("log_level = info", "nonsense", "log_level = debug")
    assert found[0].startswith("/c:2: ") and found[1].startswith("/c:3: ") and len(found) == 2


def test_unknown_compression_and_infinite_restarts_are_refused() -> None:
    assert "one of no, yes, zstd, gzip" in problems("log_compress = lz4")[0]
    assert "infinity" in problems("default_restart_sec = infinity")[0]
    assert "size" in problems("log_max_size = big")[0]
    assert problems("log_max_files = 0")[0].startswith("/c:1: log_max_files: ")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(str(tmp_path / "c"))
    with pytest.raises(ConfigError, match="directory"):
        load(str(tmp_path))


def test_where_it_is() -> None:
    assert default_path(0, {}) == "/etc/unitd/unitd.conf"
    assert default_path(7, {"HOME": "/h"}) == "/h/.config/unitd/unitd.conf"
    assert default_path(7, {"HOME": "/h", "XDG_CONFIG_HOME": "/x"}) == "/x/unitd/unitd.conf"
