"""Packaging of unitd; tools are configured in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "unitd" / "__init__.py").read_text()).group(1)
TEST = ["pytest", "pytest-timeout", "pytest-rerunfailures", "hypothesis", "playwright", "axe-playwright-python", "schemathesis", "prometheus-client", "gunicorn", "uvicorn", "waitress"]
DEV = [*TEST, "mypy", "ruff", "import-linter", "coverage", "types-psutil", "types-setuptools"]

setup(
    name="unitd",
    version=VERSION,
    description="A systemd-style unit manager: process and socket management without systemd",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    package_dir={"": "."},  # an editable install is then a line in a .pth file, instead of a finder whose import takes longer than all of unitctl
    packages=find_packages(include=["unitd", "unitd.*"]),
    package_data={"unitd": ["py.typed"], "unitd.web": ["static/*", "templates/*", "units/*"]},
    install_requires=["pyzmq", "msgspec", "psutil", "zstandard", "python-daemon", "setproctitle", "sdnotify", "configobj", "bottle", "gevent"],
    extras_require={"test": TEST, "dev": DEV},
    scripts=["bin/unitctl"],
    entry_points={"console_scripts": ["unitd=unitd.manager.launch:main"]},
    classifiers=["Operating System :: POSIX :: Linux", "Programming Language :: Python :: 3", "License :: OSI Approved :: MIT License"],
)
