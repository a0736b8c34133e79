"""What a run reports: report, rejects, progress, summary table."""
