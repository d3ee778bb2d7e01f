"""What every package may use: errors, files, processes, typed configuration."""
