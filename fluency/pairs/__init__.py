"""Rows become labelled pairs (before, after) with one edit each, in splits that share no sentence."""
