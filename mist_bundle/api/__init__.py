"""The Python API, which the command line is a thin skin over; `mist_bundle/__init__.py` lists its names.

    import mist_bundle as mb

    bundle = mb.configure("dataset.json", "out", recipe="quick")
    bundle.train(fold="all")
    bundle.evaluate()
    bundle.predict("new_cases", "out/predictions")

Paths may be `str` or `Path` everywhere. Wrong input is raised as `InputError` with all problems at once; `CaseFailure`
names the cases that failed while the others went through. Anything odd that stops nothing is a `DataWarning`.
"""
