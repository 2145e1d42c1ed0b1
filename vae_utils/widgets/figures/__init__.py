"""One figure a module: each defines a function of its own name, which `vae_utils.widgets` hands out."""
