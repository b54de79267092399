"""Broken inputs of every kind, the answer that each must get, and the judge that looks whether it gets it.

`judge.py` holds what an input and an answer are; each other module holds the inputs of some kinds; `run.py` runs all of
them: `python -m tests.reliability.inputs.run --output FILE`.
"""
