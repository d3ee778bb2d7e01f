"""The figures to beat."""
