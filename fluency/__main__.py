"""`python -m fluency COMMAND`."""

from fluency.cli.commands import main

main()
