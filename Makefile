# Everything runs in .venv, which is made from the lock file on first use.
# PYTHON=/path/to/python3.12 chooses the Python to make it with.

VENV ?= .venv
PICTURE ?= docs/report.png
BIN := $(VENV)/bin
PATHS := src tests scripts benchmarks envs
WORKFLOW := Snakefile rules
BOOTSTRAP = python=$$(PYTHON="$(PYTHON)" sh envs/find_python.sh) && "$$python" -P envs/bootstrap.py --venv "$(VENV)"

.DEFAULT_GOAL := help
.PHONY: help env env-dev tools demo picture test test-all check lock dag clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

env: ## Make the environment in .venv; at once when it fits the lock
	@$(BOOTSTRAP)

env-dev: ## The same, with what the tests need
	@$(BOOTSTRAP) --dev

tools: env ## Find Prometheus and node_exporter, or fetch them without root
	@$(BIN)/escalade tools

demo: env ## Run a real campaign on this machine and print the path of its report
	@$(BIN)/escalade run config/config.yaml --profile profiles/local

picture: ## Take docs/report.png anew from the demo's report; needs Chromium, and a demo run on a quiet machine
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1280,2100 \
		--screenshot=$(PICTURE) file://$(CURDIR)/results/demo/report.html
	$(BIN)/python -c "from PIL import Image; Image.open('$(PICTURE)').convert('P', palette=Image.Palette.ADAPTIVE, colors=96).save('$(PICTURE)', optimize=True)"

check: env-dev ## Lint and types: what takes seconds
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/mypy
	$(BIN)/snakefmt --check $(WORKFLOW)
	$(BIN)/snakemake --lint

# Most tests run side by side, one file at a time on each of up to four cores; what
# measures times runs after them, by itself. Real processes on a machine that is full may
# miss a moment: a test that failed beside others is run once more without them, and named.
PYTEST := $(BIN)/python -m pytest
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
ONCE_MORE = { [ $$? -eq 1 ] && echo "Failed beside others; once more, by themselves:" && $(PYTEST) --last-failed --last-failed-no-failures none

test: check tools ## All checks, and every test that is not slow
	$(PYTEST) $(SIDE_BY_SIDE) -m "not slow and not alone" || $(ONCE_MORE) -m "not slow and not alone"; }
	$(PYTEST) -m "not slow and alone"

test-all: check tools ## All checks and all tests: fault tables, long campaigns
	$(PYTEST) $(SIDE_BY_SIDE) -m "not alone" || $(ONCE_MORE) -m "not alone"; }
	$(PYTEST) -m alone

lock: env-dev ## Pin the newest versions that fit pyproject.toml
	$(BIN)/python envs/lock.py

dag: env-dev ## Draw the rules into docs/rulegraph.mmd
	@mkdir -p .snakemake
	$(BIN)/snakemake --rulegraph mermaid-js > .snakemake/rulegraph.mmd
	mv .snakemake/rulegraph.mmd docs/rulegraph.mmd

clean: ## Remove the environment, the tools and all caches; results stay
	rm -rf .venv .tools .snakemake .mypy_cache .ruff_cache .pytest_cache .hypothesis build src/*.egg-info
	find src tests scripts envs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
