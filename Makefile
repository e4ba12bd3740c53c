# make demo          train, evaluate and plot on 1,797 real images; no download, no GPU, under two minutes
# make test          the tests, in two processes
# make .venv         the environment alone; `make .venv GPU=1` the one for NVIDIA GPUs
# make report        figures/report.html: the paper's tables and figures beside the logs, on one page
# make bench         speed and memory beside PyTorch and GluonCV, under 40 minutes; `make bench GPUS=0` on a GPU
# make test-slow     the tests that take longer
# make verify-logs   check that the committed runs are as they were written
# make faults        injects faults, kills and hostile files by the hundred; their table in docs/reliability.md; up to an hour
# make test-pythons  start-up, a training step and an evaluation under every Python from 3.10 to 3.13 that is found
# make extras        what `export.py` needs beside the environment: onnx, onnxruntime, safetensors and PyTorch
# make lint          ruff (rules and format) and mypy; `make format` applies what ruff can mend
# make lock          compile requirements/*.in into the pinned, hashed sets; `make lock UPGRADE=1` takes newer versions

PYTHON ?= python3
# Not from the environment, where they would be of other projects: .venv is removed and made anew.
VENV = .venv
GPU =
TEST_PROCESSES ?= 2
RUN = $(VENV)/bin/python
INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r
DEMO = digits/dfn-mr-14/epochs15-seed1

# An environment made for GPUs stays one.
SET = $(if $(GPU)$(wildcard $(VENV)/requirements.txt),requirements.txt,requirements/cpu.txt)
# The stamp has the set's name, so that another set makes the environment anew. Until all is installed it is an old
# file, so that an interrupted environment is still one for GPUs, and is made anew.
STAMP = $(VENV)/$(notdir $(SET))

.PHONY: bench clean demo extras faults format lint lock report test test-slow test-pythons verify-logs .venv

.venv: $(STAMP)

.PRECIOUS: $(STAMP)  # which make would remove at Ctrl-C

$(STAMP): requirements/base.txt $(SET) | common/preflight.py
	@command -v "$(PYTHON)" >/dev/null || { echo "error: no $(PYTHON); run: sudo apt install python3 python3-venv" >&2; exit 2; }
	@"$(PYTHON)" common/preflight.py
# In an activated shell, PYTHON is of the environment that goes.
	@base="$$("$(PYTHON)" -c 'import sys; print(sys._base_executable)')" && echo "$$base -m venv $(VENV)" && \
		rm -rf $(VENV) && "$$base" -m venv $(VENV)
	@touch -d 2000-01-01 $@
	$(INSTALL) $(SET)
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
	$(RUN) compare.py report

test: .venv
	$(RUN) -m pytest -n $(TEST_PROCESSES) --dist worksteal

verify-logs: .venv
	$(RUN) -m training.verify logs

test-slow: .venv
	$(RUN) -m pytest -m slow

# One thread: commands are forked from a process that has MXNet. It goes on where it was stopped.
faults: .venv
	OMP_NUM_THREADS=1 $(RUN) -m pytest -q tests/faults
	OMP_NUM_THREADS=1 $(RUN) -m tests.faults.campaign --write

test-pythons: demo
	sh tests/pythons.sh logs/$(DEMO)

.venv-bench/bench.txt: requirements/bench.txt requirements/torch.txt
	rm -rf .venv-bench
	"$(PYTHON)" -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/bench.txt
	touch $@

bench: .venv extras .venv-bench/bench.txt
	$(RUN) -m benchmarks $(if $(GPUS),--gpus $(GPUS))

# PyTorch is not locked; it takes what is there.
$(VENV)/extras.txt: requirements/interop.txt requirements/torch.txt $(STAMP)
	$(INSTALL) requirements/interop.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements/torch.txt
	touch $@

extras: $(VENV)/extras.txt

# The tools of the targets below are installed beside what they check.
$(VENV)/dev.txt: requirements/dev.txt $(STAMP)
	$(INSTALL) requirements/dev.txt
	touch $@

lint: $(VENV)/dev.txt
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

format: $(VENV)/dev.txt
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

# One version of each package for all Pythons, with wheels alone. Versions that still fit are kept.
COMPILE = $(RUN) -m uv pip compile --quiet --no-python-downloads --universal --python-version 3.10 --fork-strategy fewest \
	--generate-hashes --only-binary :all: --emit-build-options --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
# MXNet alone, below the comments of its list and the base set.
COMPILE_MXNET = { grep '^\#' $(1) && echo '-r $(2)' && $(COMPILE) --no-deps --no-header $(1); } >$(VENV)/lock && mv $(VENV)/lock

lock: $(VENV)/dev.txt
	$(COMPILE) --overrides requirements/overrides.txt --no-emit-package mxnet \
		requirements/base.in requirements/cpu.in --output-file requirements/base.txt >/dev/null
	$(COMPILE) --constraints requirements/base.txt requirements/dev.in --output-file requirements/dev.txt >/dev/null
	$(COMPILE) --constraints requirements/base.txt requirements/interop.in --output-file requirements/interop.txt >/dev/null
	$(call COMPILE_MXNET,requirements/cpu.in,base.txt) requirements/cpu.txt
	$(call COMPILE_MXNET,requirements/gpu.in,requirements/base.txt) requirements.txt

clean:
	rm -rf .venv .venv-3.* .venv-bench figures .faults
