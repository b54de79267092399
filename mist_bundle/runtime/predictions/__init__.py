"""Predicting many cases: each by itself, only those that are missing, with a record of what each was made from."""
