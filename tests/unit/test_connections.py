"""The largest fleets' database connections fit into the database's class, counted with what processes really open."""

import pytest

import ops.dependencies
from anb_web import gunicorn_conf
from anb_web.dependencies import POOL_SIZE as WEB_POOL_SIZE
from anb_worker.service import HEARTBEAT_CONNECTIONS, LOOP_CONNECTIONS
from stacks import connections
from stacks.profiles import ACADEMY, PRODUCTION, choose

# What Amazon RDS for MySQL has been seen to allow by itself:
# http://tritoneco.com/2015/11/23/max_connections-at-aws-rds-mysql-instance-sizes/
SEEN = {"micro": 60, "small": 150, "medium": 296, "large": 609, "xlarge": 1237, "2xlarge": 2492}


def test_what_processes_open_is_what_is_counted():
    assert gunicorn_conf.workers * WEB_POOL_SIZE == connections.PER_WEB_INSTANCE
    assert LOOP_CONNECTIONS + HEARTBEAT_CONNECTIONS == connections.PER_WORKER_PROCESS
    assert ops.dependencies.POOL_SIZE == 1


def test_instances_are_counted_with_those_that_stand_in_for_them():
    web, workers = 3 + 1, 3 + 2

    assert connections.needed(web=3, workers=3, processes=2) == 6 * web + 2 * 2 * workers + 2 + 2
    assert connections.needed(web=10, workers=0, processes=2) == 6 * 14 + 2 + 2


@pytest.mark.parametrize("size", SEEN)
def test_a_class_is_never_taken_for_more_than_it_allows(size):
    assert connections.given(f"db.m5.{size}") <= 0.9 * SEEN[size]
    assert connections.given(f"db.c6gd.{size}") <= connections.given(f"db.m5.{size}") / 2


def test_classes_are_offered_from_small_to_large():
    given = [connections.given(class_) for class_ in connections.OFFERED]

    assert given == sorted(given)
    assert connections.smallest_class(given[0] + 1) == connections.OFFERED[1]
    assert connections.smallest_class(given[-1] + 1) is None


@pytest.mark.parametrize("profile", [ACADEMY, PRODUCTION], ids=lambda profile: profile.name)
def test_a_profile_fits_without_settings(profile):
    assert profile.connections_needed <= connections.given(profile.database.instance_class)
    assert choose(profile.name, {}) == profile
