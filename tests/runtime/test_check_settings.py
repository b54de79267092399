"""A bundle looks at what it was told before its first step, however it was started."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from mist_bundle.runtime.check_settings import check_settings, running_configuration, tell_cause

CONFIG = {
    "epochs": 3,
    "batch_size": 2,
    "device": "$torch.device('cpu')",
    "ensemble": True,
    "sw_batch_size": "$2 * @batch_size",
    "trainer": {"max_epochs": "@epochs"},
    "check": {"_target_": "mist_bundle.runtime.check_settings.check_settings", "bundle_root": "@root"},
    "run": ["@check"],
}


def _run(tmp_path: Path, **overrides: object) -> None:
    (tmp_path / "configs").mkdir(exist_ok=True)
    ConfigParser.export_config_file(CONFIG, str(tmp_path / "configs" / "train.json"))
    parser = ConfigParser({**CONFIG, "root": str(tmp_path)})
    parser.update(overrides)
    parser.parse()
    parser.get_parsed_content("run::0")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"epoch": 1}, "epoch is not a setting of this bundle. Did you mean epochs?"),
        ({"bach_size": 1}, "Did you mean batch_size?"),
        ({"epochs": 0}, "epochs is 0; expected a whole number, 1 or more"),
        ({"epochs": "abc"}, "epochs is 'abc'; expected"),
        ({"ensemble": "perhaps"}, "ensemble is 'perhaps'; expected true or false"),
        ({"device": "cuda:99"}, "device is 'cuda:99', but there is"),
        ({"device": "gpu0"}, "device is 'gpu0'; expected cpu"),
    ],
)
def test_refused_before_anything_is_resolved(tmp_path: Path, overrides: dict[str, object], message: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        _run(tmp_path, **overrides)
    cause: BaseException | None = caught.value
    said = []
    while cause is not None:
        said.append(str(cause))
        cause = cause.__cause__
    assert any(message in text for text in said)


@pytest.mark.parametrize(
    "overrides",
    [{}, {"epochs": 5}, {"ensemble": "no"}, {"epochs": "$1 + 1"}, {"trainer#max_epochs": 2}, {"run_name": "x"}],
)
def test_accepted(tmp_path: Path, overrides: dict[str, object], caplog: pytest.LogCaptureFixture) -> None:
    _run(tmp_path, **overrides)
    assert not caplog.records


def test_an_id_that_resembles_none_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _run(tmp_path, zzz=3)
    assert "warning: --zzz: nothing in this bundle reads it" in caplog.text


def test_an_id_that_something_reads_is_the_users_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _run(tmp_path, epoch=4, epochs="@epoch")
    assert not caplog.records


def test_a_command_prints_the_sentence_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/site-packages/monai/bundle/__main__.py", "run", "training", "--epoch", "1"])
    with pytest.raises(SystemExit, match=r"epoch is not a setting of this bundle\. Did you mean epochs\?"):
        _run(tmp_path, epoch=1)


def test_outside_of_a_run_there_is_no_configuration(tmp_path: Path) -> None:
    assert running_configuration() is None
    check_settings(str(tmp_path))


def _raise(error: Exception) -> None:
    raise error


def test_a_command_ends_with_the_sentence_of_the_bundles_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        try:
            component = {"_target_": "mist_bundle.runtime.values.read_json_text", "text": "{"}
            ConfigParser({"fold": component}).get_parsed_content("fold")
        except RuntimeError as error:
            raise RuntimeError("Failed to evaluate the run list") from error
    except RuntimeError as error:
        tell_cause(type(error), error, error.__traceback__)
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert len(said.splitlines()) == 1


def test_any_other_error_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (ValueError("of somebody else"), KeyError("a mistake")):
        try:
            _raise(error)
        except (ValueError, KeyError) as caught:
            tell_cause(type(caught), caught, caught.__traceback__)
        assert "Traceback" in capsys.readouterr().err


@pytest.mark.slow
def test_plain_monai_bundle_tells_what_is_wrong_in_one_line(fresh_bundle: Path, tmp_path: Path) -> None:
    words = ["--config_file", str(fresh_bundle / "configs/train.json"), "--fold", "99", "--work_dir", str(tmp_path)]
    command = [sys.executable, "-m", "monai.bundle", "run", "training", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "there is no fold 99" in done.stderr.splitlines()[-1]
