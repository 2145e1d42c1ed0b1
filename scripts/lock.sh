#!/bin/sh
# Renew the lists of exact versions from pyproject.toml, for every supported Python and system; uv and pip read them:
#
#   requirements.lock      what a learner needs: the course and JupyterLab
#   requirements-dev.lock  the same versions, and what tests, instructors and the site need
#
#   KEEP  1: keep every version that still fits; else the newest of everything
#   UV    uv; empty: the one on the PATH, else the one that scripts/install.sh put into build/uv
set -eu
UV=${UV:-$(command -v uv || echo build/uv/bin/uv)}
new=build/lock
mkdir -p "$new"
renew=--upgrade
if [ "${KEEP:-}" = 1 ]; then # uv prefers the versions in its output file
    renew=
    cp requirements.lock "$new/requirements.lock"
    cp requirements-dev.lock "$new/requirements-dev.lock"
fi
compile() {
    # shellcheck disable=SC2086
    "$UV" pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate $renew pyproject.toml "$@"
}
compile --extra lab --output-file "$new/requirements.lock"
compile --all-extras --constraints "$new/requirements.lock" --output-file "$new/requirements-dev.lock"
for lock in requirements.lock requirements-dev.lock; do
    {
        echo "# Written by 'make lock' from pyproject.toml: change that and run it again, never this file."
        echo "# The CUDA libraries are left out on purpose: torch pins its own, and its CPU build needs none."
        grep -v -E '^(#|nvidia-|triton|cuda-)' "$new/$lock"
    } >"$new/$lock.txt"
done
for lock in requirements.lock requirements-dev.lock; do
    mv "$new/$lock.txt" "$lock"
    echo "$lock: $(grep -c == "$lock") packages"
done
rm -rf "$new"
