"""The edit: what changed between two sentences, and the forms in which users have it."""
