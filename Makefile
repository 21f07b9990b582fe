# Needs Python >= 3.11 and make. Everything else goes into .venv, from the lock that suits the Python.

# Candidates: the first that runs and is new enough makes .venv. PYTHON=python3.12 asks for that one.
PYTHON ?= python3.13 python3.12 python3.11 python3
# The extra of jax to add to the locked one: cuda13 or cuda12 for an NVIDIA GPU, tpu for a TPU.
JAX ?=
# More arguments for the command that is run, such as ARGS="--seed 1".
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
SUITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
MINOR := import sys; print("%d.%d" % sys.version_info[:2])
LOCK := import sys; print("requirements/py311.lock" if sys.version_info < (3, 12) else "requirements/py312.lock")
LOCK_OPTIONS := --quiet --extra dev --upgrade --universal --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help train test test-all test-slow bench interop transfer lint format venv lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo 'Options: PYTHON=python3.12, JAX=cuda13 (for an NVIDIA GPU), ARGS="..." (added to the command that is run)'

train: venv  ## train PPO on HeartPole-v0
	$(PY) -m train ppo --env HeartPole-v0 $(ARGS)

# One file stays in one process, which compiles for all of its tests.
test: venv  ## run the tests, without the slow ones
	$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

# These run the programs that users run; `make test` compiles in half the time, to slower programs.
test-all test-slow: export TEST_PROGRAMS := optimised

test-all: venv  ## run every test, with optimised programs
	$(PY) -m pytest -n 2 --dist loadfile -m "not accelerator" $(ARGS)

test-slow: venv  ## run the slow tests (long runs, and the wheel in an environment of its own)
	$(PY) -m pytest -n 2 -m slow $(ARGS)

bench: venv  ## run the short set of benchmarks, and print a table of ours, peers and limits
	$(PY) -m benchmarks

# Box2D has wheels for some Pythons only, so it stays out of the lock and gets its own virtual environment.
transfer: venv  ## fly LunarLander's policies in Box2D, and Box2D's here (installs Box2D; minutes)
	@test -e .interop/box2d/ready || { $(PY) -m venv --clear .interop/box2d && \
		.interop/box2d/bin/python -m pip install --quiet gymnasium==1.4.0 box2d==2.3.10 pygame-ce && \
		touch .interop/box2d/ready; }
	$(PY) -m benchmarks.lander --box2d .interop/box2d/bin/python $(ARGS)

# Each client's pins clash with the others', so each gets its own environment under .interop.
INTEROP := wrappers sb3 torchrl gymnax ray
# What is tested in an environment, unless that is only the client of its name. Each file has a process of its own: a
# second cluster of Ray in one process loses its workers.
TESTS_ray := rllib ray_tune optuna parquet
# A CUDA build of PyTorch is several gigabytes: TORCH=torch==2.13.0 or the like asks for one that is at hand.
TORCH ?= torch
CLIENTS_wrappers := $(TORCH) moviepy array-api-compat
CLIENTS_sb3 := $(TORCH) stable-baselines3 moviepy
CLIENTS_torchrl := $(TORCH) torchrl
CLIENTS_gymnax := gymnax rejax evosax
CLIENTS_ray := $(TORCH) 'ray[rllib]' optuna tqdm scipy matplotlib tensorboardX

interop: $(INTEROP:%=interop-%)  ## run the clients that others wrote on our environments

interop-%: venv
	@test -e .interop/$*/ready || { $(PY) -m venv --clear .interop/$* && \
		.interop/$*/bin/python -m pip install --quiet $(CLIENTS_$*) jax gymnasium optax flax chex pillow pytest pytest-timeout && \
		touch .interop/$*/ready; }
	@for test in $(or $(TESTS_$*),$*); do \
		.interop/$*/bin/python -m pytest -W default -m "not accelerator" -p no:cacheprovider tests/interop/test_$$test.py $(ARGS) || exit 1; \
	done

lint: venv  ## check style, formatting and types
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m pyright

format: venv  ## fix style and formatting in place
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

# .venv keeps a copy of the lock and of the pyproject.toml it was made from, each written once its step has succeeded.
# If its copy of the lock differs, .venv is made again; if that of pyproject.toml differs, the project is reinstalled.
venv:  ## make .venv, or bring it up to date
	@set -e; \
	case "$(JAX)" in ''|cuda12|cuda13|tpu) ;; *) \
		echo 'JAX=$(JAX) is unknown: it can be cuda13, cuda12 or tpu.' >&2; exit 1;; esac; \
	stale=yes; \
	if cmp -s "$$($(PY) -c '$(LOCK)' 2>/dev/null)" $(VENV)/lock; then stale=; fi; \
	if [ "$$stale" ] || [ "$(origin PYTHON)" != file ]; then \
		found=; \
		for python in $(PYTHON); do \
			if "$$python" -c '$(SUITS)' >/dev/null 2>&1; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo 'No Python 3.11 or newer with venv and ensurepip was found (tried: $(PYTHON)):' \
				'install one (Debian and Ubuntu: also python3-venv), or name it with PYTHON=path.' >&2; exit 1; \
		fi; \
		minor=$$("$$found" -c '$(MINOR)'); \
		[ "$$stale" ] || [ "$$($(PY) -c '$(MINOR)')" = "$$minor" ] || stale=yes; \
	fi; \
	if [ "$$stale" ]; then \
		lock=$$("$$found" -c '$(LOCK)'); \
		echo "Making $(VENV) with Python $$minor from $$lock; this takes a minute or more, once."; \
		rm -f $(VENV)/lock; \
		"$$found" -m venv --clear $(VENV); \
		$(PY) -m pip install --quiet --require-hashes -r "$$lock"; \
		cp "$$lock" $(VENV)/lock; \
	fi; \
	if ! cmp -s pyproject.toml $(VENV)/pyproject.toml; then \
		$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .; \
		cp pyproject.toml $(VENV)/pyproject.toml; \
	fi; \
	if [ "$(JAX)" ] && [ ! -e $(VENV)/jax-$(JAX) ]; then \
		version=$$($(PY) -c 'import importlib.metadata; print(importlib.metadata.version("jax"))'); \
		echo "Adding jax[$(JAX)] $$version to $(VENV)."; \
		$(PY) -m pip install --quiet "jax[$(JAX)]==$$version"; \
		touch $(VENV)/jax-$(JAX); \
	fi

# "fewest" keeps the first lock to one version of each package, one that Python 3.11 can run. lock uses the .venv
# that is there: after a change of the build backend, pyproject.toml can only be installed with the new lock.
lock:  ## renew the hashed locks from pyproject.toml
	@test -x $(PY) || $(MAKE) venv
	$(PY) -m uv pip compile $(LOCK_OPTIONS) --python-version 3.11 --fork-strategy fewest \
		--output-file requirements/py311.lock pyproject.toml
	$(PY) -m uv pip compile $(LOCK_OPTIONS) --python-version 3.12 \
		--output-file requirements/py312.lock pyproject.toml

clean:  ## remove .venv, caches and build outputs (runs/ stays)
	rm -rf $(VENV) .interop build dist .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
