from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anb.jobs import Job


def test_a_job_survives_its_message():
    job = Job(video_id=uuid4(), request_id="abc-12345")

    assert Job.from_body(job.to_body()) == job


@pytest.mark.parametrize(
    "body",
    ["", "no json", "[]", "null", "{}", '{"video_id": "x", "request_id": "y"}', '{"video_id": 7}', "[" * 100_000],
)
def test_a_body_that_describes_no_job_is_recognised(body):
    assert Job.from_body(body) is None


@given(st.text())
def test_no_body_breaks_the_reader(body):
    Job.from_body(body)
