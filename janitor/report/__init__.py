"""The outputs: one file per format, one interface (`Report`)."""

from janitor.report.base import Format, Report, RunInfo, make_report

__all__ = ["Format", "Report", "RunInfo", "make_report"]
