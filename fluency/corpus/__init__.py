"""Corpora of edits, read from files into canonical rows."""
