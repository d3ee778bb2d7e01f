"""The classifier: how it reads a pair, and on which device."""
