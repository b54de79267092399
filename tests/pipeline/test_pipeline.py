"""The package gives each of its functions when it is used."""

from __future__ import annotations

from mist_bundle import pipeline


def test_every_name_is_given_by_a_single_module() -> None:
    listed = [name for names in pipeline._NAMES.values() for name in names]
    assert sorted(listed) == sorted(pipeline.__all__)
    for name in pipeline.__all__:
        assert getattr(pipeline, name).__name__ == name
