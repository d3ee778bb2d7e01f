"""A language model as judge of the test pairs: a pipeline of its own (dvc.yaml), as it may cost money."""
