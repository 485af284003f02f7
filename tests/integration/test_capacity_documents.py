"""The documents of the load tests, as they are."""

from capacity import report
from capacity.__main__ import GIVEN, SCENARIOS


def test_the_documents_say_what_the_data_say():
    assert report.check(SCENARIOS, GIVEN) == []
