"""Files to arrays: the one reader that analysis, training, prediction and scoring share. Needs no torch."""
