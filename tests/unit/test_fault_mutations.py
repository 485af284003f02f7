"""Each mutation still fits the code, so that a change of the code cannot quietly take its proof away."""

import pytest

from tests.faults.mutations import MUTATIONS, Mutation, mutate


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_each_mutation_changes_the_code_that_there_is(mutation: Mutation, tmp_path):
    mutate(mutation, tmp_path / "services")

    for file, _, after in mutation.changes:
        source = (tmp_path / "services" / file).read_text()
        assert after in source
        compile(source, file, "exec")
