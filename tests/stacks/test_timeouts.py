"""Who waits how long for whom, from the boot of an instance to the answer to a request: the numbers hold together."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from anb import aws
from anb_web import bulkheads, gunicorn_conf
from stacks.constructs.distribution import ANSWER, KEPT
from stacks.constructs.fleet import BOOT_AT_MOST, GRACE, LONGEST_START
from stacks.web import CHECK_INTERVAL, CHECK_TIMEOUT, MAX_FAILED_CHECKS

ROOT = Path(__file__).parents[2]
NGINX = (ROOT / "services/web/nginx.conf").read_text(encoding="utf-8")
BOOT = (ROOT / "userdata/boot.sh").read_text(encoding="utf-8")
DATABASE = (ROOT / "userdata/database.sh").read_text(encoding="utf-8")
WEB_UNIT = (ROOT / "userdata/units/web/anb-web.service").read_text(encoding="utf-8")
USUAL_BOOT = 120
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
CLOUDFRONTS_QUOTA = 120


def number(pattern, text):
    """Return the one number in the text that the pattern finds."""
    [found] = re.findall(pattern, text, re.MULTILINE)
    return int(found)


def waits(name, script=BOOT):
    """Return how many seconds a script waits at most for what the name says."""
    return number(rf"\b{name}_SECONDS=(?:\$\{{ANB_{name}_SECONDS:-)?(\d+)\b", script)


def block(name):
    """Return what nginx is told directly in a block, and within blocks inside it."""
    return re.split(rf"^    {name} \{{$", NGINX, flags=re.MULTILINE)[1].split("\n    }\n")[0]


def idle_seconds(synthesis):
    balancer = synthesis.assembly.only("AnbWeb", "AWS::ElasticLoadBalancingV2::LoadBalancer")
    attributes = {it["Key"]: it["Value"] for it in balancer.properties["LoadBalancerAttributes"]}
    return int(attributes["idle_timeout.timeout_seconds"])


# ---- a request


def test_whoever_keeps_a_connection_closes_it_before_the_one_behind_does(synthesis):
    to_the_balancer = number(r"^    keepalive_timeout (\d+)s;", NGINX)
    to_the_api = number(r"keepalive_timeout (\d+)s;", block("upstream api"))

    assert KEPT.to_seconds() < idle_seconds(synthesis) < to_the_balancer
    assert to_the_api < gunicorn_conf.keepalive


def test_whoever_waits_for_an_answer_waits_longer_than_the_one_behind(synthesis, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    connect, read = (number(rf"^        proxy_{name}_timeout (\d+)s;", NGINX) for name in ("connect", "read"))

    assert application_seconds() < read
    assert connect + read < idle_seconds(synthesis) < ANSWER.to_seconds() <= CLOUDFRONTS_QUOTA


def test_cloudfront_waits_as_long_as_that(production):
    (distribution,) = production.assembly.resources("AWS::CloudFront::Distribution")
    origins = distribution.properties["DistributionConfig"]["Origins"]
    (waits,) = [origin["VpcOriginConfig"] for origin in origins if "VpcOriginConfig" in origin]

    assert waits["OriginKeepaliveTimeout"] == KEPT.to_seconds()
    assert waits["OriginReadTimeout"] == ANSWER.to_seconds()


def application_seconds():
    """Return how long the API waits at most before it answers: for its turn, then for the part that hangs."""
    turn = max(bulkhead.max_wait_seconds for bulkhead in bulkheads._bulkheads().values())
    store: Any = aws.serving_s3_client().meta.config  # whose stubs know none of its options
    attempts = store.retries["total_max_attempts"]
    # botocore waits up to a second before the second attempt, and up to twice as long before each other
    pauses = 2 ** (attempts - 1) - 1
    return turn + attempts * (store.connect_timeout + store.read_timeout) + pauses


def test_the_health_check_gives_up_after_nginx_has():
    assert number(r"^            proxy_read_timeout (\d+)s;", NGINX) < CHECK_TIMEOUT.to_seconds()


# ---- an instance


def test_a_boot_answers_health_checks_before_anybody_counts_them(synthesis):
    attempt = waits("LONGEST_ATTEMPT", DATABASE)
    longest = USUAL_BOOT + waits("PACKAGES_WAIT") + attempt + waits("HEALTH_WAIT")

    assert longest < LONGEST_START.to_seconds() < GRACE.to_seconds()
    assert attempt < 60 * number(r"^TimeoutStartSec=(\d+)min$", WEB_UNIT)
    for group in synthesis.assembly.resources("AWS::AutoScaling::AutoScalingGroup"):
        assert group.properties["HealthCheckGracePeriod"] == GRACE.to_seconds()


def test_a_deployment_waits_longer_than_its_instances_do(synthesis):
    ready = waits("DATABASE_WAIT") + waits("HEALTH_WAIT")

    assert LONGEST_START.to_seconds() + ready < BOOT_AT_MOST.to_seconds()
    for group in synthesis.assembly.resources("AWS::AutoScaling::AutoScalingGroup"):
        rolling = group.definition["UpdatePolicy"]["AutoScalingRollingUpdate"]
        assert group.definition["CreationPolicy"]["ResourceSignal"]["Timeout"] == rolling["PauseTime"] == "PT35M"


def test_starting_the_api_again_costs_no_instance():
    seconds = (MAX_FAILED_CHECKS - 1) * CHECK_INTERVAL.to_seconds()

    # gunicorn ends what it has in hand, then systemd starts it again, which takes some seconds more
    assert gunicorn_conf.graceful_timeout + number(r"^RestartSec=(\d+)$", WEB_UNIT) + 10 < seconds


# ---- what people read of it


def documented():
    """Return the rows of the table in docs/reliability.md, by what they say happens."""
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    table = page.split("<!-- replacement: begin -->")[1].split("<!-- replacement: end -->")[0]
    rows = [line.strip("|").split("|") for line in table.strip().splitlines()[2:]]
    return {row[0].strip(): " ".join(row[1:]) for row in rows}


@pytest.mark.parametrize(
    ("case", "seconds"),
    [
        ("a slow boot", {waits("PACKAGES_WAIT") / 60, LONGEST_START.to_minutes(), GRACE.to_minutes()}),
        ("no database", {waits("DATABASE_WAIT") / 60, BOOT_AT_MOST.to_minutes()}),
        (
            "an overload",
            {CHECK_INTERVAL.to_seconds(), CHECK_TIMEOUT.to_seconds(), MAX_FAILED_CHECKS},
        ),
    ],
)
def test_the_documentation_tells_each_case_with_its_numbers(case, seconds):
    assert {math.trunc(it) for it in seconds} <= {int(n) for n in re.findall(r"\d+", documented()[case])}
