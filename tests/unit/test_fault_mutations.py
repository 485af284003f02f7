"""Each mutation still fits the code, so that a change of the code cannot quietly take its proof away."""

import pytest

from tests.faults.__main__ import main
from tests.faults.mutations import MUTATIONS, Mutation, mutate


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_mutation_changes_the_code_that_there_is(mutation: Mutation, tmp_path):
    mutate(mutation, tmp_path / "services")

    for file, _, after in mutation.changes:
        source = (tmp_path / "services" / file).read_text()
        assert after in source
        compile(source, file, "exec")


@pytest.mark.parametrize("arguments", [["web dyes"], ["--mutations", "web dyes"]])
def test_a_name_that_nothing_has_is_wrong_use_and_no_proof(arguments, capsys):
    assert main(arguments) == 2
    assert "web dyes" in capsys.readouterr().err
