"""`python -m escalade`: the command line."""

from escalade.cli.main import run

run()
