"""Stubs, tiny models and trainings that several tests share."""
