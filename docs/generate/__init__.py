"""The generators of docs/reference.md and docs/tables.md: tools of the checkout, not part of the wheel."""
