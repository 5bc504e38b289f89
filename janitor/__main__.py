"""``python -m janitor``."""

from janitor.cli import entry

if __name__ == "__main__":
    entry()
