# Every target makes what it needs; `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export TOKENIZERS_PARALLELISM := false

FIGURE := metrics/validation.json:precision_at_recall.0.8
# the columns of `dvc exp show` that are no params
OTHERS := (?!Experiment|params|(data|model|pairs|encode|baseline|train|edit_head|decision|evaluate|attack|llm)[.])|train[.](pairs|invisible|truncated|encoded)

.PHONY: help repro experiments test test-pages test-processors coverage lint docs bench bench-gpu reference clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 20

repro: .venv/installed ## Run the pipeline (fetch, build, train, calibrate, evaluate) and print its results
	dvc repro
	@python -m fluency summary
	@echo
	@echo 'Next: look at results/report.html, then, after `source .venv/bin/activate`,'
	@echo '  score your own edits     python -m fluency score EDITS.csv -o scored.csv'
	@echo '  try another setting      dvc exp run -S decision.min_recall=0.7, and compare: make experiments'
	@echo '  train on your own data   dvc exp run -S data.source=path:FOLDER (docs/data.md)'

experiments: .venv/installed ## Compare the experiments on validation: what each changed, and its figures, the most precise first
	@dvc exp show --only-changed --hide-failed --sort-by $(FIGURE) --sort-order desc --drop '$(OTHERS)' \
	  --keep '$(FIGURE)$$|metrics/validation.json:average_precision(_low|_high)?$$|operating_point.certificate.bound$$'

test: .venv/installed ## Run the tests of the code
	python -m pytest -n 4 --dist worksteal --ignore tests/pages

test-pages: .venv/installed ## Type what the pages tell readers to type, in small projects
	python -m pytest -n 4 --dist worksteal tests/pages

test-processors: .venv/installed ## Run the numeric tests as a processor without AVX-512 computes
	OPENBLAS_CORETYPE=Haswell ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 \
	  python -m pytest tests/test_metrics.py tests/evaluation tests/model/test_likelihood.py tests/model/test_edit_head.py

coverage: .venv/installed ## Run the tests, and tell which lines and branches of fluency/ none of them reaches
	coverage erase
	coverage run -m pytest -n 4 --dist worksteal
	coverage combine --quiet
	coverage report

lint: .venv/installed ## Check style and formatting
	ruff check .
	ruff format --check .

docs: .venv/docs ## Build the documentation as a site, in site/, and check its links
	SOURCE_DATE_EPOCH=0 NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict

bench: .venv/installed ## Measure speed and memory against the alternatives
	python -m benchmarks.pairs
	python -m benchmarks.evaluation
	python -m benchmarks.training
	python -m benchmarks.training --modernbert small
	python -m benchmarks.busy
	python -m benchmarks.ranks
	python -m benchmarks.reading
	python -m benchmarks.context
	python -m benchmarks.ablation
	python -m benchmarks.guarantees
	python -m benchmarks.choosing
	python -m benchmarks.monitor
	python -m benchmarks.spread
	python -m benchmarks.grpo
	python -m benchmarks.unmended

bench-gpu: .venv/installed ## The same for ModernBERT-large with random weights, on a GPU
	dvc repro build_pairs fetch_model
	python -m benchmarks.training --modernbert large --rounds 3

reference: .venv/installed ## Run the reference recipe: ModernBERT-large on the hub's data, 4 GPUs
	dvc exp run -S data.source=hub:timonziegenbein/fluency-agumented-edits \
	  -S model.source=hub:answerdotai/ModernBERT-large -S train.num_processes=4
	@python -m fluency summary

clean: ## Remove the environment and everything the pipeline made that is not in git (a judge's paid answers stay)
	rm -rf .venv .checkpoints data/raw data/pairs data/encoded models results dvc_plots site

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed; say which with PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'Installing what requirements.txt lists into .venv; this takes some minutes, torch alone is 200 MB or more.'
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	touch $@

.venv/docs: pyproject.toml | .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$($(BIN)/python -c \
	  'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"])')
	touch $@
