"""Does one edit keep a sentence fluent? Data, training, evaluation and the scorer of a fluency-edit classifier."""
