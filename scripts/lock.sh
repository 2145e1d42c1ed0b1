#!/bin/sh
# Renew the two lists of exact versions from pyproject.toml, for every supported Python and system:
#
#   requirements.lock        what the course and its tests need
#   requirements-extra.lock  what handing out assignments and building the site need beyond that
#
# uv resolves them, in a throw-away environment; nothing changes unless all of it succeeds.
#
#   KEEP  1: keep every version that still fits; else the newest of everything
set -eu
tool=build/lock
core=$tool/core.txt
all=$tool/all.txt

mkdir -p build
"${PYTHON:-python3}" -m venv --clear "$tool"
"$tool/bin/python" -m pip install --quiet uv

# The versions that uv finds in its output file are those it prefers.
renew=--upgrade
: >"$core"
if [ "${KEEP:-}" = 1 ]; then
    renew=
    cat requirements.lock >"$core"
fi
compile() {
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate $renew \
        pyproject.toml "$@"
}
compile --extra lab --extra test --output-file "$core"
cp "$core" "$all"
if [ "${KEEP:-}" = 1 ] && [ -e requirements-extra.lock ]; then
    grep -v '^#' requirements-extra.lock >>"$all"
fi
compile --all-extras --constraints "$core" --output-file "$all"
{
    echo "# The versions that 'make install' installs, on every supported Python and system."
    echo "# Written by 'make lock' from pyproject.toml: change that and run it again, never this file."
    echo "# The CUDA libraries are left out on purpose: torch pins its own, and its CPU build needs none."
    grep -v -E '^(nvidia-|triton|cuda-)' "$core"
} >"$core.new"
{
    echo "# What handing out assignments and building the site need, beside requirements.lock: 'make extras'."
    echo "# Written by 'make lock' from pyproject.toml: change that and run it again, never this file."
    grep -v -x -F -f "$core" "$all"
} >"$all.new"
mv "$core.new" requirements.lock
mv "$all.new" requirements-extra.lock
rm -rf "$tool"
echo "requirements.lock: $(grep -c == requirements.lock) packages," \
    "requirements-extra.lock: $(grep -c == requirements-extra.lock) more"
