"""What users import: the scorer, its model, rewards, batches and tables."""
