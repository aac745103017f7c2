"""`python -m webapp` is `moorage`, also where nothing is installed."""

from webapp.cli import main

main()
