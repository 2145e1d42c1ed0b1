#!/bin/sh
# Renew requirements.lock: the newest version of everything that pyproject.toml and its extras need, one file
# for every supported Python and system. uv resolves it, in a throw-away environment; nothing changes unless
# all of it succeeds.
set -eu
tool=build/lock
new=build/requirements.lock

mkdir -p build
"${PYTHON:-python3}" -m venv --clear "$tool"
"$tool/bin/python" -m pip install --quiet uv
"$tool/bin/uv" pip compile --quiet --universal --all-extras --python-version 3.11 --no-header --no-annotate \
    pyproject.toml --output-file "$new.all" --upgrade
{
    echo "# The versions that 'make install' installs, on every supported Python and system."
    echo "# Written by 'make lock' from pyproject.toml: change that and run it again, never this file."
    echo "# The CUDA libraries are left out on purpose: torch pins its own, and its CPU build needs none."
    grep -v -E '^(nvidia-|triton|cuda-)' "$new.all"
} >"$new"
mv "$new" requirements.lock
rm -rf "$tool" "$new.all"
echo "requirements.lock: $(grep -c == requirements.lock) packages"
