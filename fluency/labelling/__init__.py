"""A judge's labels for rewrites: which are worth one, and the corpus that they become."""
