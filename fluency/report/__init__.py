"""What people look at: the report, plots, pictures and tables."""
