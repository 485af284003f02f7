"""The Postman collection documents the API by examples that all hold."""

from scripts.run_postman import make_samples, newman


def test_the_collection_runs_green(system):
    make_samples()

    assert newman(f"{system.url}/api") == 0
