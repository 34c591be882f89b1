# make run     sets up .venv, runs the quickstart recipe on samples/, trains 60 steps, reports
# make test    lint, types, import rules and every test
# make lint    the first three of these
# make test-failures   kills and stops machines of clusters: a quarter of an hour
# make docs    builds the documentation into out/site
# make bench   what each stage costs, by kind of document
# make bench-peers   sets up .venv-peers with the tools that benchmarks compare with
# make airflow       sets up .venv-airflow and starts Airflow with the DAGs of airflow_dags/
# make clean   removes what these made, .venv included
# make constraints   resolves constraints.txt again after a change of pyproject.toml

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
EXTRAS := train,tensorboard,energy,ray,spark,models,pdf,s3,explore,docs,dev
CODE := src tests benchmarks airflow_dags notebooks examples

# Nothing is fetched or reported while the mill runs.
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false
export TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS :=
export RAY_USAGE_STATS_ENABLED := 0
# Workers are processes: each would compile all that it imports again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test test-failures lint docs bench bench-peers airflow constraints clean

# The stamp is written last: a set-up that was interrupted starts again, a finished one is left alone.
.venv/installed: pyproject.toml constraints.txt requirements-nodeps.txt
	$(PYTHON) -c 'import sys; sys.version_info[:2] == (3, 11) or sys.exit("corpusmill needs Python 3.11; name it: make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -U pip
	$(BIN)/python -m pip install -q --no-compile -c constraints.txt -e '.[$(EXTRAS)]'
	$(BIN)/python -m pip install -q --no-compile --no-deps -r requirements-nodeps.txt
	touch $@

run: .venv/installed
	$(BIN)/corpusmill run src/corpusmill/pipelines/recipes/quickstart.yaml --out out/quickstart
	$(BIN)/corpusmill train --shards out/quickstart/shards --out out/quickstart-train --set steps=60
	$(BIN)/corpusmill report out/quickstart --train out/quickstart-train

lint: .venv/installed
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/ruff format --check $(wildcard $(CODE))
	$(BIN)/mypy
	$(BIN)/mypy $(wildcard tests benchmarks)
	MYPYPATH=examples/plugin/src $(BIN)/mypy examples/plugin/src examples/plugin/tests
	$(BIN)/lint-imports

# Clusters first: they take longest and wait most.
test: lint .venv-airflow/installed
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-failures: .venv/installed
	$(BIN)/python -m pytest -m failures

docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q

bench: .venv/installed
	$(BIN)/python benchmarks/throughput.py

# Apart from .venv: they ask for other versions of what both need.
bench-peers: .venv-peers/installed

.venv-peers/installed: benchmarks/peers/requirements.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	echo '*' > .venv-peers/.gitignore
	.venv-peers/bin/python -m pip install -q --no-compile -r benchmarks/peers/requirements.txt
	touch $@

# Apart from .venv: Airflow and the mill share nothing but the command line.
.venv-airflow/installed: airflow_dags/requirements.txt airflow_dags/constraints.txt
	test -x .venv-airflow/bin/python || $(PYTHON) -m venv .venv-airflow
	echo '*' > .venv-airflow/.gitignore
	.venv-airflow/bin/python -m pip install -q --no-compile -c airflow_dags/constraints.txt -r airflow_dags/requirements.txt
	touch $@

AIRFLOW_PORT ?= 8080
airflow: .venv/installed .venv-airflow/installed
	AIRFLOW_HOME=$(CURDIR)/out/airflow/home \
	AIRFLOW__CORE__DAGS_FOLDER=$(CURDIR)/airflow_dags \
	AIRFLOW__CORE__LOAD_EXAMPLES=False \
	AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=False \
	AIRFLOW__USAGE_DATA_COLLECTION__ENABLED=False \
	AIRFLOW__CORE__PARALLELISM=2 \
	AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT=60 \
	AIRFLOW__API__HOST=127.0.0.1 \
	AIRFLOW__API__PORT=$(AIRFLOW_PORT) \
	AIRFLOW__CORE__EXECUTION_API_SERVER_URL=http://127.0.0.1:$(AIRFLOW_PORT)/execution/ \
	PATH=$(CURDIR)/.venv-airflow/bin:$$PATH \
	.venv-airflow/bin/airflow standalone

# Versions that still fit are kept. The pins hold for both builds of torch: the CPU build needs fewer
# of them, and pip takes it where it finds one.
constraints:
	test -x .uv/bin/uv || { $(PYTHON) -m venv .uv && .uv/bin/python -m pip install -q uv; }
	.uv/bin/uv pip compile -q --all-extras --no-annotate --python-version 3.11 \
		--custom-compile-command 'make constraints' pyproject.toml -o constraints.txt

clean:
	rm -rf .venv .venv-airflow .venv-peers .uv out build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests benchmarks airflow_dags -name __pycache__ -prune -exec rm -rf {} +
	rm -rf src/corpusmill.egg-info
