"""Predicting many cases: each by itself, only missing cases, with a record of what each prediction depends on."""
