"""What a person is told when a deployment is cut short, or when two are at it."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from deploy import __main__ as deploy
from deploy import cdk, cloudformation, preflight
from deploy.account import Account
from deploy.cloudformation import Stack
from deploy.errors import CannotDeploy
from deploy.preflight import Target
from stacks.profiles import ACADEMY


def stack(name, status):
    return Stack(
        name=name,
        status=status,
        reason="",
        is_protected=False,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        outputs={"Url": "http://x"},
    )


@pytest.fixture
def stacks(monkeypatch, tmp_path):
    """What CloudFormation has; everything is in order before the deployment."""
    found: list[Stack] = []
    target = Target(profile=ACADEMY, account=Account(session=None, region="us-east-1"), number="123456789012")
    monkeypatch.setattr(preflight, "run_all_checks", lambda _settings, _say: target)
    monkeypatch.setattr(
        cloudformation,
        "existing",
        lambda _account, names: [it for it in found if it.name in names],
    )
    monkeypatch.setattr(cloudformation, "find", lambda _account, name: stack(name, "CREATE_COMPLETE"))
    monkeypatch.setattr(cdk, "LOCK", tmp_path / "lock")
    return found


def let_cdk(monkeypatch, outcome):
    def run(*_arguments, **_region):
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(cdk, "run", run)


def test_ctrl_c_says_that_cloudformation_goes_on_and_what_to_do(monkeypatch, capsys, stacks):
    let_cdk(monkeypatch, KeyboardInterrupt())
    stacks += [stack("AnbNetwork", "CREATE_COMPLETE"), stack("AnbData", "CREATE_IN_PROGRESS")]

    assert deploy.main(["up"]) == 130
    assert capsys.readouterr().err.strip() == (
        "Interrupted, but CloudFormation goes on by itself with AnbData: wait until make preflight no longer says "
        "that it is being changed, then make deploy goes on where it stopped, or make destroy removes what there is."
    )


def test_ctrl_c_between_two_stacks_says_that_nothing_goes_on(monkeypatch, capsys, stacks):
    let_cdk(monkeypatch, KeyboardInterrupt())
    stacks += [stack("AnbNetwork", "CREATE_COMPLETE")]

    assert deploy.main(["up"]) == 130
    assert capsys.readouterr().err.strip() == (
        "Interrupted; CloudFormation changes nothing at the moment: make deploy goes on where it stopped."
    )


def test_a_deployment_that_somebody_elses_has_overtaken_says_so(monkeypatch, capsys, stacks):
    let_cdk(monkeypatch, 1)
    stacks += [stack("AnbWeb", "UPDATE_IN_PROGRESS")]

    assert deploy.main(["up"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "deploy: AnbWeb is being changed right now (UPDATE_IN_PROGRESS): wait for it to finish, then run this again."
    ]


def test_a_deployment_that_has_failed_by_itself_says_where_to_look(monkeypatch, capsys, stacks):
    let_cdk(monkeypatch, 1)
    stacks += [stack("AnbWeb", "UPDATE_ROLLBACK_COMPLETE")]

    assert deploy.main(["up"]) == 1
    assert "the first error above, such as a CREATE_FAILED, says why" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["up"], ["preflight"], ["down", "--yes"], ["database-down", "--yes"]])
@pytest.mark.usefixtures("stacks")
def test_two_at_once_in_one_folder_get_one_sentence(monkeypatch, capsys, command):
    monkeypatch.setattr(preflight, "find_target", lambda settings: preflight.run_all_checks(settings, print))
    holder = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{holder}; sys.stdin.read()", str(cdk.LOCK)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        code = deploy.main(command)
        other.communicate()

    assert code == 1
    assert capsys.readouterr().err == (
        "deploy: Another deployment or destruction is running from this folder: wait for it to finish, "
        "then run this again.\n"
    )


@pytest.mark.usefixtures("stacks")
def test_the_next_one_is_let_in():
    with cdk.exclusive():
        pass
    with cdk.exclusive(), pytest.raises(CannotDeploy), cdk.exclusive():
        pass
