"""A language model as judge of the pairs: the prompt, the client, the cache of its answers."""
