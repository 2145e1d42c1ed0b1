"""Programs behind `make`: run one as `python -m scripts.NAME`."""
