"""`python -m crawler` runs `acs-inventory`."""

from crawler.cli import main

main()
