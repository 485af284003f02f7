"""The largest fleet's database connections fit into the smallest RDS class."""

import pytest

import ops.dependencies
from anb_web import gunicorn_conf
from anb_web.dependencies import POOL_SIZE as WEB_POOL_SIZE
from anb_worker.service import HEARTBEAT_CONNECTIONS, LOOP_CONNECTIONS
from stacks.profiles import (
    ACADEMY,
    CONNECTIONS_PER_GIB,
    CONNECTIONS_PER_PROCESS,
    MAX_CONNECTIONS_SHARE,
    MAX_FLEET,
    OTHER_CONNECTIONS,
    PRODUCTION,
)

# db.t3.micro: RDS allows DBInstanceClassMemory / 12582880 connections. 1 GiB would make that 85, but the class's
# memory is what RDS leaves of it: between 60 and 66 have been seen.
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html#RDS_Limits.MaxConnections
SMALLEST_DATABASE = CONNECTIONS_PER_GIB
MAX_SHARE = MAX_CONNECTIONS_SHARE  # the rest is for RDS itself and for a person who looks at it

# While one instance is replaced its successor is there already. Workers that have to finish a job before their
# instance ends are no longer counted by their group, which can grow again meanwhile: from one to three.
WEB_SURGE, WORKER_SURGE = 1, 2
MIGRATIONS = 2  # one lock and one migration; whoever waits for the lock has not begun to serve
OPERATORS = 2


@pytest.mark.parametrize("profile", [ACADEMY, PRODUCTION], ids=lambda profile: profile.name)
def test_the_largest_fleet_takes_at_most_nine_tenths_of_the_smallest_databases_connections(profile):
    assert profile.web.at_most <= MAX_FLEET
    assert profile.workers.at_most <= MAX_FLEET
    web = (MAX_FLEET + WEB_SURGE) * gunicorn_conf.workers * WEB_POOL_SIZE
    workers = (MAX_FLEET + WORKER_SURGE) * profile.processes_per_worker * (LOOP_CONNECTIONS + HEARTBEAT_CONNECTIONS)
    operators = OPERATORS * ops.dependencies.POOL_SIZE

    assert workers == profile.processes_per_worker * CONNECTIONS_PER_PROCESS
    assert web + MIGRATIONS + operators <= OTHER_CONNECTIONS
    total = web + workers + MIGRATIONS + operators

    said = f"web {web} + workers {workers} + migrations {MIGRATIONS} + operators {operators} = {total}"
    assert total <= MAX_SHARE * SMALLEST_DATABASE, said
