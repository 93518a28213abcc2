"""`python -m sgmn.cli`."""

from sgmn.cli import main

main()
