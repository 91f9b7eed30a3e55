"""The command `diff`, with its output as text and as Markdown."""
