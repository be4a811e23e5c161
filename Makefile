# The README's two commands are `make run` and `make test`; the rest is for developers.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install -c constraints.txt

.PHONY: run test test-qemu lint type cov bench bench-logs docs conformance dist clean

$(VENV)/.run: setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) -e '.[dev]'
	touch $@

run: $(VENV)/.run
	@echo
	@echo "unitd runs in this terminal; Ctrl-C stops it and everything it runs."
	@echo "In a second terminal, from this directory:"
	@echo
	@echo "    export UNITD_BUS=$(CURDIR)/.run"
	@echo "    .venv/bin/unitctl list-units"
	@echo "    .venv/bin/unitctl status web@1"
	@echo "    .venv/bin/unitctl logs -f ticker"
	@echo "    .venv/bin/unitctl top"
	@echo "    .venv/bin/unitctl web"
	@echo "    curl http://127.0.0.1:8642/"
	@echo
	@$(BIN)/unitd --unit-path $(CURDIR)/contrib/examples --runtime-dir $(CURDIR)/.run --log-dir $(CURDIR)/.run/log --start all

test: $(VENV)/.dev
	$(BIN)/python -m pytest

# Limits on a kernel with pure cgroup v2: as root, minutes, not part of `make test`.
test-qemu: $(VENV)/.dev
	tests/qemu/run

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/lint-imports

type: $(VENV)/.dev
	$(BIN)/mypy -p unitd

cov: $(VENV)/.dev
	$(BIN)/coverage run -m pytest tests/unit
	$(BIN)/coverage report

bench: $(VENV)/.dev
	$(BIN)/python bench/respawn.py
	$(BIN)/python bench/boot.py
	$(BIN)/python bench/idle.py
	$(BIN)/python bench/sse.py
	$(BIN)/python bench/rolling.py
	$(BIN)/python bench/unitctl.py
	$(BIN)/python bench/load.py
	$(BIN)/python bench/transactions.py

bench-logs: $(VENV)/.dev
	$(BIN)/python bench/logs.py

docs: $(VENV)/.run
	$(BIN)/python -m unitd.units.reference > docs/directives.md

screenshots: $(VENV)/.dev
	mkdir -p docs/images $(VENV)/screenshots
	UNITD_SCREENSHOTS=$(CURDIR)/$(VENV)/screenshots $(BIN)/python -m pytest tests/browser -k accessible
	cp $(VENV)/screenshots/overview-light.png $(VENV)/screenshots/unit-dark.png docs/images/

conformance: $(VENV)/.dev
	$(BIN)/python tests/conformance.py

dist: $(VENV)/.dev
	$(PIP) build
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) .run build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
