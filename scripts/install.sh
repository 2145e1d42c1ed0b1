#!/bin/sh
# Bring .venv up to a lock: sh scripts/install.sh requirements.lock. `make` runs it from the project's root before what
# needs .venv; where nothing is missing it takes a second and no network.
#
#   PYTHON       the Python to make .venv with; empty: one that fits on this machine, else one that uv fetches
#   TORCH        cpu or cuda (Linux): the build of PyTorch; empty: what is there, else the CPU build if there is no
#                NVIDIA GPU and its index answers, else the usual build
#   TORCH_INDEX  another index of CPU builds than PyTorch's own
#   UV           uv; empty: the one on the PATH, else one in build/uv. UV=none: pip, as where uv can't be had
set -eu
lock=$1
PYTHON=${PYTHON:-} TORCH=${TORCH:-} TORCH_INDEX=${TORCH_INDEX:-} UV=${UV:-}
py=.venv/bin/python
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'
name_another="name another, as in: make lab PYTHON=python3.12"

say() { printf '%s\n' "$*" >&2; }
stop() {
    say "$@"
    exit 1
}

case $TORCH in
    '' | cpu | cuda) ;;
    *) stop "TORCH is '$TORCH': leave it out, or set it to cpu or cuda." ;;
esac

# The first install shows what it downloads; later ones change little and say little.
quiet=--quiet
[ -x "$py" ] || quiet=

# uv, or nothing: then pip does the work.
if [ -z "$UV" ]; then
    UV=$(command -v uv) || UV=build/uv/bin/uv
    if [ ! -x "$UV" ]; then
        mkdir -p build
        { "${PYTHON:-python3}" -m venv --clear build/uv &&
            build/uv/bin/python -m pip install --quiet uv; } >build/uv.log 2>&1 || UV=none
    fi
fi
[ "$UV" != none ] || UV=

here() { "${PYTHON:-python3}" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

make_with_uv() {
    [ -z "$quiet" ] || say "$py is not one of Python 3.11 to 3.14: making .venv again."
    "$UV" venv --quiet --clear --python "${PYTHON:->=3.11,<3.15}" .venv || return 1
    "$py" -c "$fits" || return 1
    [ -n "$PYTHON" ] || python3 -c "$fits" 2>/dev/null ||
        say "No Python 3.11 to 3.14 was on the PATH; uv found or fetched $("$py" -V) for the course."
}

make_with_pip() {
    python=${PYTHON:-python3}
    command -v "$python" >/dev/null ||
        stop "There is no $python here: install Python 3.11, 3.12, 3.13 or 3.14, or $name_another"
    version=$(here) || stop "$python does not start: $name_another"
    "$python" -c "$fits" ||
        stop "This course needs Python 3.11, 3.12, 3.13 or 3.14, and $python is Python $version: install one of these" \
            "(or uv, which fetches one), or $name_another"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "$python lacks the venv module: install it (Debian and Ubuntu: sudo apt install python$version-venv)" \
            "and try again."
    "$python" -m venv --clear .venv
}

# A .venv without pip is what an interrupted install by pip leaves: make it again.
if ! "$py" -c "${UV:+#}import pip
$fits" 2>/dev/null; then
    { [ -n "$UV" ] && make_with_uv; } || make_with_pip
fi

# PyTorch's build, on Linux: its CPU build has a local version, as in 2.15.0+cpu.
build_of() { "$py" -c "from importlib.metadata import version; print(version('$1'))" 2>/dev/null || :; }
pins=$(grep -E '^(torch|torchvision)==[0-9.]+$' "$lock" || :)
has_gpu() { command -v nvidia-smi >/dev/null || [ -e /dev/nvidia0 ] || [ -e /proc/driver/nvidia/version ]; }
if [ -n "$UV" ] && [ "$(uname -s)" = Linux ]; then
    build=$(build_of torch)
    try_cpu=
    case $TORCH,$build in
        cpu,*+cpu) ;;
        cpu,*) try_cpu=1 ;;
        cuda,*+cpu)
            # shellcheck disable=SC2086  # words
            "$UV" pip install $quiet --python "$py" --reinstall-package torch --reinstall-package torchvision $pins
            ;;
        ,) has_gpu || try_cpu=1 ;;
    esac
    if [ -n "$try_cpu" ]; then
        index=--torch-backend=cpu
        [ -z "$TORCH_INDEX" ] || index="--index=$TORCH_INDEX"
        # shellcheck disable=SC2086
        cpu_build() {
            "$UV" pip install --python "$py" --no-deps --reinstall-package torch --reinstall-package torchvision \
                $index "$@" $(printf '%s\n' $pins | sed 's/$/+cpu/')
        }
        if UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-5} UV_HTTP_CONNECT_TIMEOUT=5 UV_HTTP_RETRIES=0 cpu_build --quiet --dry-run 2>/dev/null; then
            cpu_build $quiet
        elif [ "$TORCH" = cpu ]; then
            stop "The index of PyTorch's CPU builds does not answer or lacks what $lock asks for:" \
                "leave TORCH out for the usual build, which runs on the CPU, too."
        else
            say "PyTorch's CPU build can't be had right now: taking the usual build, which is larger and runs on the CPU, too."
        fi
    fi
fi

# What uv can't install (it does not read pip's settings, such as a company's index) pip may.
install() {
    { [ -n "$UV" ] && "$UV" pip install $quiet --python "$py" "$@"; } || "$py" -m pip install $quiet --retries 1 "$@"
}
install -r "$lock" pip
# The project itself: building it may need the network, so not where it is installed from this folder already.
"$py" - "$PWD" <<'END' 2>/dev/null || install --no-deps -e .
import json, pathlib, sys
from importlib.metadata import distribution

origin = json.loads(distribution("vae-utils").read_text("direct_url.json"))
sys.exit(origin["url"] != pathlib.Path(sys.argv[1]).as_uri())
END
# What instructors need adds nothing to JupyterLab's menus and buttons, however it is started.
[ "$lock" = requirements.lock ] || [ ! -d scripts/jupyter ] || cp -R scripts/jupyter/. .venv/etc/jupyter/
