# make demo          train, evaluate and plot on 1,797 real images; no download, no GPU, under two minutes
# make test          the tests; a few minutes on two cores
# make .venv         the environment alone; `make .venv GPU=1` the one for NVIDIA GPUs
# make report        figures/report.html: the paper's tables and figures beside the logs, in one page
# make bench         speed and memory beside PyTorch and GluonCV, under 40 minutes; `make bench GPUS=0` on a GPU
# make test-slow     the tests that take longer
# make test-pythons  start-up, a training step and an evaluation under every Python from 3.8 to 3.13 found

PYTHON ?= python3
VENV ?= .venv
# An environment made for GPUs stays one.
REQUIREMENTS = $(if $(GPU)$(wildcard $(VENV)/requirements.txt),requirements.txt,requirements-cpu.txt)
RUN = $(VENV)/bin/python
DEMO = digits/dfn-mr-14/epochs15-seed1

.PHONY: bench demo report test test-slow test-pythons clean .venv

.venv: $(VENV)/$(REQUIREMENTS)

# The stamp has the requirements' name, so that another set makes the environment anew.
$(VENV)/$(REQUIREMENTS): requirements-base.txt $(REQUIREMENTS) common/preflight.py
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON); run: sudo apt install python3 python3-venv" >&2; exit 2; }
	@$(PYTHON) common/preflight.py
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps -r $(REQUIREMENTS)
	touch $@

demo: .venv
	$(RUN) train_cifar.py --dataset digits --net dfn-mr --depth 14 --epochs 15
	$(RUN) eval.py logs/$(DEMO) --per-class
	$(RUN) plot.py curves logs/$(DEMO) --out figures/digits
	@echo
	@echo "images      datasets/digits/digits-train.rec, digits-test.rec (RecordIO)"
	@echo "run         logs/$(DEMO)/ (config.json, metrics.csv, train.log)"
	@echo "checkpoint  logs/$(DEMO)/checkpoint-0015/ (model-symbol.json, model-0015.params)"
	@echo "curves      figures/digits.png, figures/digits.svg"

report: .venv
	$(RUN) -m paper.report

test: .venv
	$(RUN) -m pytest

# Whoever has a Python too old for PyTorch names another: make bench BENCH_PYTHON=python3.11
BENCH_PYTHON ?= $(PYTHON)
.venv-bench/requirements-bench.txt: requirements-bench.txt
	rm -rf .venv-bench
	$(BENCH_PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	touch $@

bench: .venv .venv-bench/requirements-bench.txt
	$(RUN) -m benchmarks $(if $(GPUS),--gpus $(GPUS))

test-slow: .venv
	$(RUN) -m pytest -m slow

test-pythons: demo
	sh tests/pythons.sh logs/$(DEMO)

clean:
	rm -rf .venv .venv-3.* .venv-bench figures
