"""One module a stage: read its params, call fluency/, write the declared outputs. Run as `python -m stages.NAME`."""
