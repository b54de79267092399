"""Files to arrays: the reader that analysis, training, prediction and scoring share. Needs no torch."""
