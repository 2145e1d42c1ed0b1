#!/bin/sh
# Make .venv and install requirements.lock and this project into it. `make` runs this from the project's root when
# requirements.lock or pyproject.toml is newer than the stamp .venv/.installed, which is written last.
#
#   PYTHON  the Python to make .venv with (default: python3)
#   TORCH   empty, or cpu: on Linux, PyTorch's CPU build
set -eu
PYTHON=${PYTHON:-python3}
TORCH=${TORCH:-}
stamp=.venv/.installed

stop() {
    printf '%s\n' "$*" >&2
    exit 1
}

case $TORCH in
    '' | cpu) ;;
    *) stop "TORCH is '$TORCH': leave it out for the usual build, or set it to cpu." ;;
esac
# The first install shows what it downloads; later ones change little and say little.
quiet=
[ ! -e "$stamp" ] || quiet=--quiet
rm -f "$stamp"

# A .venv without pip is what an interrupted first install leaves: make it again.
if ! .venv/bin/python -c 'import pip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
    command -v "$PYTHON" >/dev/null ||
        stop "There is no $PYTHON here: install Python 3.11, 3.12 or 3.13," \
            "or name the one you have, as in: make lab PYTHON=python3.12"
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
        stop "$PYTHON does not start: name another Python, as in: make lab PYTHON=python3.12"
    case $version in
        3.11 | 3.12 | 3.13) ;;
        *) stop "This course needs Python 3.11, 3.12 or 3.13, and $PYTHON is Python $version:" \
            "name another, as in: make lab PYTHON=python3.12" ;;
    esac
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "$PYTHON lacks the venv module: install it (Debian and Ubuntu: sudo apt install python$version-venv)" \
            "and try again."
    "$PYTHON" -m venv --clear .venv
fi
echo "$TORCH" >.venv/.torch

if [ "$TORCH" = cpu ] && [ "$(uname -s)" = Linux ]; then
    # uv knows where PyTorch's CPU builds are; pip would have to be told. The lock fits because it leaves out the
    # CUDA libraries: the usual build of torch pins its own, and the CPU build needs none.
    .venv/bin/python -m pip install $quiet uv
    .venv/bin/uv pip install $quiet --python .venv/bin/python --torch-backend=cpu -r requirements.lock
else
    .venv/bin/python -m pip install $quiet -r requirements.lock
fi
.venv/bin/python -m pip install $quiet --no-deps -e .
touch "$stamp"
