"""The experiments behind data/records; `python -m scripts.reproduce` runs them."""
