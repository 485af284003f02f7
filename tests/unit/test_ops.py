import ast
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from anb.timings import Timings
from local.state import State
from ops import instance, service_commands
from ops.__main__ import main, ops
from ops.account import people
from ops.account.desk import Desk
from ops.account.run_command import Result
from ops.log_lines import time_of
from ops.table import age, size, table, text

OPS = Path(__file__).parents[2] / "ops"


def test_columns_are_as_wide_as_their_widest_value():
    assert (
        table(("what", "n"), [("a longer name", 1), ("b", None)])
        == "what           n\na longer name  1\nb              -"
    )


def test_a_table_without_rows_is_its_header():
    assert table(("what", "n"), []) == "what  n"


def test_a_terminal_obeys_nothing_that_a_client_has_sent():
    assert text("a\x1b[31m\r\nb\u202e") == "a\N{REPLACEMENT CHARACTER}[31m b\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (0, "0"), (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05Z")]
)
def test_values_are_shown_in_one_line(value, shown):
    assert text(value) == shown


@pytest.mark.parametrize(
    ("size_bytes", "shown"), [(7, "7 B"), (12_345, "12.3 kB"), (999_999, "1.0 MB"), (104_857_600, "104.9 MB")]
)
def test_sizes_are_shown_as_people_read_them(size_bytes, shown):
    assert size(size_bytes) == shown


def test_ages_are_shown_as_people_read_them():
    assert age(90_061.9) == "1 day, 1:01:01"


def test_lines_of_different_programs_come_in_the_order_of_time():
    in_order = [
        "no time",
        "2026-01-02T03:04:05+00:00",
        "2026-01-02 03:04:05.5+00:00",
        "2026-01-02T03:04:06Z",
        "2026-01-03",
    ]

    assert sorted((in_order[n] for n in (3, 0, 4, 1, 2)), key=time_of) == in_order


def verbs(group=ops, *before):
    """Each command, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, *before, name)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield pytest.param([*before, name], command, id=" ".join([*before, name]))


SOMETHING: dict[click.ParamType[Any], str] = {click.UUID: "00000000-0000-4000-8000-000000000000"}
EACH_VERB = pytest.mark.parametrize(("words", "command"), [*verbs()])


@EACH_VERB
def test_every_command_explains_itself_without_any_settings(words, command, capsys, monkeypatch):
    monkeypatch.delenv("ANB_QUEUE_URL", raising=False)

    assert command.help
    assert main([*words, "--help"]) == 0
    assert f"Usage: python -m ops {words[0]}" in capsys.readouterr().out


@EACH_VERB
def test_every_command_can_report_to_other_programs(words, command):
    assert "--json" in {option for param in command.params for option in param.opts}, words


@EACH_VERB
def test_an_option_that_there_is_not_is_a_wrong_use_of_every_command(words, command, capsys):
    assert main([*words, *arguments_of(command), "--no-such"]) == 2
    assert "--no-such" in capsys.readouterr().err


def arguments_of(command):
    """Something for each argument and option that the command must have."""
    for it in command.params:
        if it.required:
            yield from [it.opts[0]] if isinstance(it, click.Option) else []
            yield it.type.choices[0] if isinstance(it.type, click.Choice) else SOMETHING.get(it.type, "1")


@pytest.mark.parametrize(
    "command", [["votes"], ["votes", "--repair"], ["votes", "void", "c1", "c2", "--note", "one network"]]
)
def test_a_command_goes_to_an_instance_with_all_that_it_was_asked(command, monkeypatch):
    sent = []

    def run(_desk, arguments):
        sent.append(arguments)
        return Result(printed="", complaints="", code=1)

    monkeypatch.setattr(people, "run", run)

    assert main(["--aws", *command]) == 1
    assert sent == [command]


@pytest.mark.parametrize(
    ("mistyped", "suggested"), [(["stats"], "status"), (["dlq", "shw"], "show"), (["votes", "--repaid"], "--repair")]
)
def test_what_is_mistyped_is_a_wrong_use_that_suggests_what_was_meant(mistyped, suggested, capsys):
    assert main(mistyped) == 2
    assert f"Did you mean '{suggested}'?" in capsys.readouterr().err


def test_settings_that_are_missing_are_named_in_one_line(capsys, monkeypatch):
    monkeypatch.delenv("ANB_QUEUE_URL", raising=False)
    monkeypatch.setenv("ANB_MEDIA_BUCKET", "bucket")

    assert main(["status"]) == 3
    said = capsys.readouterr().err
    assert (said.startswith("ops: "), "ANB_QUEUE_URL" in said, said.count("\n")) == (True, True, 1)


# ---- where the system is


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """An operator with neither settings nor credentials, whose `make run` keeps its state in this folder."""
    for name in ("ANB_DATABASE_URL", "ANB_MEDIA_BUCKET", "ANB_QUEUE_URL", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("ops.account.desk.STATE", tmp_path)
    return tmp_path


@pytest.mark.usefixtures("nowhere")
def test_where_no_system_can_be_found_it_is_said_what_to_do(capsys):
    assert main(["status"]) == 3
    said = capsys.readouterr().err
    assert said.startswith(
        "ops: No system runs on this machine, and on AWS none can be asked for. There are no usable"
    )
    assert said.count("\n") == 1


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(("words", "command"), [it for it in verbs() if it.id not in {"cost", "demo"}])  # need none
def test_a_command_without_a_system_ends_with_what_is_missing(words, command, capsys):
    assert main([*words, *arguments_of(command), "--json"]) == 3
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_the_system_of_make_run_is_found_while_it_runs(nowhere):
    state = State(nowhere)
    with state.locked():
        assert Desk({}, Timings(), state=nowhere).is_on_aws  # it is still starting
        state.publish({"ANB_QUEUE_URL": "here"})

        assert not Desk({}, Timings(), state=nowhere).is_on_aws
        assert (nowhere / "settings.json").stat().st_mode & 0o077 == 0
    assert Desk({}, Timings(), state=nowhere).is_on_aws  # it has ended


def test_settings_of_a_run_that_was_killed_are_not_believed_by_the_next(nowhere):
    state = State(nowhere)
    with state.locked():
        state.publish({"ANB_QUEUE_URL": "gone"})
    with state.locked():
        assert state.published() is None


def test_an_account_can_be_asked_for_while_make_run_is_going(nowhere, capsys):
    with State(nowhere).locked():
        State(nowhere).publish({"ANB_QUEUE_URL": "here"})

        assert main(["--aws", "status"]) == 3
    assert "There are no usable AWS credentials" in capsys.readouterr().err


def test_an_instance_reads_its_settings_as_systemd_does(tmp_path):
    (tmp_path / "settings.env").write_text(
        'AWS_REGION="us-east-1"\nANB_MEDIA_URL=""\nANB_WEB_BIND="127.0.0.1:8000"\n'
    )

    assert instance.read_settings(tmp_path / "settings.env") == {
        "AWS_REGION": "us-east-1",
        "ANB_MEDIA_URL": "",
        "ANB_WEB_BIND": "127.0.0.1:8000",
    }


def test_an_instance_has_all_that_its_commands_import():
    listed = tomllib.loads((OPS / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    shipped = {name.removesuffix(".py") for name in listed["only-include"]}
    ours = {path.parent.name for path in OPS.parent.glob("*/__init__.py")}
    strangers = {
        module
        for name in shipped
        for module in imported_modules(OPS / f"{name}.py")
        if module.partition(".")[0] in ours and module not in {"ops"} | {f"ops.{name}" for name in shipped}
    }

    assert {"instance", "service_commands"} <= shipped
    assert strangers == set()


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "ops":
            yield from (f"ops.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("command", [str(it.name) for it in service_commands.COMMANDS])
def test_an_instance_explains_each_of_its_commands_without_settings(command, capsys):
    with pytest.raises(SystemExit) as ended:
        instance.main([command, "--help"])

    assert ended.value.code == 0
    assert f"Usage: python -m ops.instance {command}" in capsys.readouterr().out


def test_who_may_not_read_an_instances_settings_is_told_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(instance, "SETTINGS", tmp_path / "settings.env")

    with pytest.raises(SystemExit) as ended:
        instance.main(["votes"])

    assert ended.value.code == 3
    assert "settings.env" in capsys.readouterr().err
