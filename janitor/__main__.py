"""``python -m janitor``, and what the installed command starts."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    # Until `entry` has its own way: Ctrl-C during the imports ends it without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from janitor.terminal.cli import entry

if __name__ == "__main__":
    entry()
