#!/bin/sh
# Test with other versions than the lock's, in an environment of their own: sh scripts/lane.sh LANE [for pytest ...]
#
#   oldest  the oldest versions that pyproject.toml accepts
#   colab   what Colab has (August 2026): its torch, numpy, ipywidgets and IPython
#   newest  the newest versions that pyproject.toml accepts
#
# The environment is .venv-LANE; delete it when you are done, it may take 6 GB. Needs uv (UV names it).
set -eu
lane=$1
shift
venv=.venv-$lane
UV=${UV:-$(command -v uv || echo build/uv/bin/uv)}
PYTHON=${PYTHON:->=3.11,<3.14}
torch_backend=
[ "${TORCH:-}" != cpu ] || torch_backend=--torch-backend=cpu

[ -x "$venv/bin/python" ] || "$UV" venv --quiet --python "$PYTHON" "$venv"
install() {
    # shellcheck disable=SC2086
    "$UV" pip install --quiet --python "$venv/bin/python" $torch_backend -e '.[lab,test]' "$@"
}
case $lane in
    oldest) install --resolution lowest-direct ;;
    colab) install 'torch==2.11.*' 'torchvision==0.26.*' numpy==2.1.3 ipywidgets==7.7.1 ipython==7.34.0 ;;
    newest) install --upgrade ;;
    *)
        echo "There is no lane '$lane': it is oldest, colab or newest." >&2
        exit 2
        ;;
esac
"$UV" pip list --quiet --python "$venv/bin/python" |
    grep -E '^(torch|torchvision|numpy|matplotlib|pillow|scikit-learn|ipywidgets|ipython|jupyterlab) '
VIRTUAL_ENV=$PWD/$venv exec "$venv/bin/python" -m pytest "$@"
