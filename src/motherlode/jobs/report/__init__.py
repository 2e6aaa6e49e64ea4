"""The report of a job: one self-contained page with its answer, its account and how it went."""

from motherlode.jobs.report.page import check_report, write_report

__all__ = ["check_report", "write_report"]
