"""Measurements of ours and the alternatives in one run; `make bench`. Machines are noisy: read the ratios."""
