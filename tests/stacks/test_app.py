"""What a person sees who runs `cdk synth`."""

import json
import subprocess
from pathlib import Path

import aws_cdk as cdk
import pytest

from app import SOURCES, chosen, main
from stacks.constructs.artefacts import HOW_TO_BUILD, Sources
from stacks.constructs.user_data import UserDataError, user_data
from stacks.profiles import ACADEMY

ROOT = Path(__file__).parents[2]


FLAGS = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]


def app_with(**context):
    return cdk.App(context=FLAGS | context)


def test_the_lab_is_the_default():
    assert chosen(app_with()) == ACADEMY


def test_the_context_chooses_profile_and_overrides():
    profile = chosen(app_with(profile="production", owner="somebody"))

    assert (profile.name, profile.owner) == ("production", "somebody")


def test_a_wrong_value_is_one_sentence(capsys):
    assert main(app_with(profile="acadmy"), SOURCES) == 1

    assert capsys.readouterr().err == "profile must be academy or production, not 'acadmy'.\n"


def test_missing_artefacts_are_an_error_for_each_that_says_how_to_build_it(tmp_path):
    app = app_with()

    assert main(app, Sources(artefacts=tmp_path / "build", user_data=SOURCES.user_data)) == 1
    errors = {
        construct.node.path: entry.data
        for construct in app.node.find_all()
        for entry in construct.node.metadata
        if entry.type == "aws:cdk:error"
    }
    assert errors == {
        f"{path}": f"build/{name}.zip is missing: {HOW_TO_BUILD}."
        for path, name in (
            ("AnbWeb/Artefact", "web"),
            ("AnbWorker/Artefact", "worker"),
            ("AnbWorker/Ffmpeg", "ffmpeg"),
        )
    }


def run_command_of_cdk_json(folder, path):
    command = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["app"]
    environment = {"PATH": f"{path}:/usr/bin:/bin"}
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def python_that_says(folder, word):
    folder.mkdir(parents=True)
    (folder / "python3").write_text(f"#!/bin/sh\necho {word} $1\n", encoding="utf-8")
    (folder / "python3").chmod(0o755)
    return folder


def test_cdk_runs_the_environment_of_this_folder_without_its_being_activated(tmp_path):
    python_that_says(tmp_path / ".venv" / "bin", "ours")

    assert run_command_of_cdk_json(tmp_path, python_that_says(tmp_path / "other", "another")) == "ours app.py\n"


def test_cdk_runs_an_activated_environment_where_there_is_none_in_this_folder(tmp_path):
    assert run_command_of_cdk_json(tmp_path, python_that_says(tmp_path / "other", "another")) == "another app.py\n"


def test_a_script_gets_its_values(tmp_path):
    (tmp_path / "x.sh").write_text("bucket='@BUCKET@' port=@PORT@", encoding="utf-8")

    rendered = user_data([tmp_path / "x.sh"], {"BUCKET": "videos", "PORT": "80", "UNUSED": "x"}).render()

    assert rendered == "bucket='videos' port=80"


def test_a_value_may_be_empty(tmp_path):
    (tmp_path / "x.sh").write_text("origins='@ORIGINS@'", encoding="utf-8")

    assert user_data([tmp_path / "x.sh"], {"ORIGINS": ""}).render() == "origins=''"


def test_a_script_that_asks_for_too_much_is_refused(tmp_path):
    (tmp_path / "x.sh").write_text("@BUCKET@ @KEY@ @LOCK@", encoding="utf-8")

    with pytest.raises(UserDataError, match=r"^x\.sh asks for KEY, LOCK, which its stack does not give\.$"):
        user_data([tmp_path / "x.sh"], {"BUCKET": "videos"})


@pytest.mark.parametrize("value", ["a'b", 'a"b', "$(reboot)", "a\nb", "`x`", "a;b", "a\\b"])
def test_a_value_that_means_something_to_the_shell_is_refused(tmp_path, value):
    (tmp_path / "x.sh").write_text("'@OWNER@'", encoding="utf-8")

    with pytest.raises(UserDataError, match="OWNER must be letters"):
        user_data([tmp_path / "x.sh"], {"OWNER": value})


def test_a_missing_script_is_one_sentence(tmp_path):
    with pytest.raises(UserDataError, match=r"x\.sh is missing\.$"):
        user_data([tmp_path / "x.sh"], {})
