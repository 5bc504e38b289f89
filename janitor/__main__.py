"""``python -m janitor``."""

from janitor.terminal.cli import entry

if __name__ == "__main__":
    entry()
