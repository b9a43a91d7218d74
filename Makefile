# make train     sets up .venv and trains on MNIST
# make test      sets up .venv, checks the style, runs the tests for a person
# make test-all  runs these, and all that take longer
# make docs      builds the site of docs/ and the docstrings
#
# Needs make and a python3 with venv, nothing else.

PYTHON ?= python3
ARGS ?=

VENV = .venv
RUN = $(VENV)/bin/python
PIP = $(RUN) -m pip --disable-pip-version-check

# Stamps: written last, so that what was interrupted or failed is done again.
# pip would build ./chainer_build anew each time; the stamps prevent that.
BASE = $(VENV)/.stamp-base
DEV = $(VENV)/.stamp-dev

.PHONY: help setup train test test-all lint docs clean

help:
	@echo 'make train            set up $(VENV), train: ./train_mnist.py'
	@echo 'make train ARGS="--epoch 1 --gpu=0"        with these arguments'
	@echo 'make test             set up $(VENV), check style, run the tests'
	@echo 'make test-all         run those, and the tests that take longer'
	@echo 'make test ARGS="-k resume"                 with these of pytest'
	@echo 'make docs             build the site into build/docs'
	@echo 'make setup            set up $(VENV) only'
	@echo 'make lint             check the style only'
	@echo 'make clean            remove $(VENV) and caches; results stay'
	@echo 'make setup PYTHON=/path/to/python3.12      with this Python, after'
	@echo '                      make clean where there is a $(VENV)'

setup: $(BASE)

train: $(BASE)
	$(RUN) train_mnist.py $(ARGS)

# A worker for each core; more BLAS threads than cores would slow them down.
PYTEST = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
	VECLIB_MAXIMUM_THREADS=1 $(RUN) -m pytest -n auto

test: lint
	$(PYTEST) -m 'not slow' $(ARGS)

test-all: test docs
	$(PYTEST) -m slow $(ARGS)

lint: $(DEV)
	$(RUN) -m ruff check .

# A warning is an error.  From scratch, since pages of modules that have gone
# would stay.
docs: $(DEV)
	rm -rf docs/api build/docs
	$(RUN) -m sphinx -q -W --keep-going docs build/docs
	@echo 'build/docs/index.html is the site'

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache docs/api build/docs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Runs on whatever Python there is, to answer in one line when it is not fit.
CHECK = import sys; \
v = sys.version_info[:2]; \
n = "%d.%d" % v; \
v < (3, 10) and sys.exit("Python " + n + " is too old: Python 3.10 to 3.13 \
is needed. Name one: make PYTHON=/path/to/python3.12"); \
v > (3, 13) and sys.stderr.write("Python " + n + " is newer than the tested \
3.10 to 3.13. If this fails: make clean, make PYTHON=/path/to/python3.13\n")

CHECK_VENV = import venv, ensurepip

# An environment without pip, as uv makes it, is given one; only a broken one
# is replaced.
$(BASE): requirements.txt chainer_build/pyproject.toml \
		chainer_build/chainer_backend.py chainer_build/edits.py
	@$(RUN) -m pip --version >/dev/null 2>&1 || \
	{ $(RUN) -m ensurepip && $(RUN) -m pip --version; } \
	    >/dev/null 2>&1 || { \
	    command -v "$(PYTHON)" >/dev/null || { \
	        echo 'There is no $(PYTHON): install Python 3.10 to 3.13, or' \
	            'name one: make PYTHON=/path/to/python3.12' >&2; exit 1; }; \
	    "$(PYTHON)" -c '$(CHECK)' || exit 1; \
	    "$(PYTHON)" -c '$(CHECK_VENV)' 2>/dev/null || { \
	        "$(PYTHON)" -c 'import sys; print("This Python has no venv. On \
	Debian and Ubuntu: apt install python%d.%d-venv" % sys.version_info[:2])' \
	            >&2; exit 1; }; \
	    echo 'Setting up $(VENV)'; \
	    "$(PYTHON)" -m venv --clear $(VENV); }
	@echo 'Installing requirements.txt (a minute or two)'
	$(PIP) install -r requirements.txt
	@touch $@

# Without its line "-r requirements.txt", which is installed already.
$(DEV): $(BASE) requirements-dev.txt
	@echo 'Installing requirements-dev.txt'
	@grep -v '^-r' requirements-dev.txt >$(VENV)/requirements-dev.txt
	$(PIP) install -r $(VENV)/requirements-dev.txt
	@touch $@
