"""`python -m crawler` is `acs-inventory`."""

from crawler.cli import main

main()
