"""The line on a terminal that shows how far a run is."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from janitor.terminal.options import Options
from janitor.terminal.sink import ResultSink


@contextlib.contextmanager
def progress(options: Options, sink: ResultSink) -> Iterator[None]:
    """Show what the sink has counted so far, if stderr is a terminal."""
    if options.quiet or not sys.stderr.isatty():
        yield
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn(
            "{task.fields[groups]:,} log groups scanned, {task.fields[changes]:,} to change"
        ),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True, no_color=options.no_color or None)  # None: as NO_COLOR says
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("janitor", total=None, groups=0, changes=0)
        sink.progress(lambda groups, changes: bar.update(task, groups=groups, changes=changes))
        yield
