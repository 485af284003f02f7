"""What is watched, and the runbook that says what to do about it."""

import json
import re
from pathlib import Path

from stacks.profiles import ACADEMY

RUNBOOK = Path(__file__).parents[2] / "docs" / "operations.md"


def alarms(synthesis):
    found = synthesis.assembly.resources("AWS::CloudWatch::Alarm")
    return [it.properties for it in found if it.stack == "AnbObservability"]


def headings():
    titles = re.findall(r"^### (.+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    return {title.lower().replace(" ", "-") for title in titles}


def test_every_alarm_leads_to_its_heading_in_the_runbook(academy, production):
    for synthesis in (academy, production):
        linked = {alarm["AlarmDescription"].rpartition("#")[2] for alarm in alarms(synthesis)}
        assert linked
        assert linked <= headings()


def test_every_heading_has_its_alarm(academy):
    linked = {alarm["AlarmDescription"].rpartition("#")[2] for alarm in alarms(academy)}

    assert headings() == linked


def test_every_alarm_tells_the_topic(synthesis):
    for alarm in alarms(synthesis):
        told = [synthesis.assembly.follow("AnbObservability", action) for action in alarm["AlarmActions"]]
        assert [it.type for it in told] == ["AWS::SNS::Topic"]


def test_the_database_is_watched_by_name(synthesis):
    watched = [alarm for alarm in alarms(synthesis) if alarm.get("Namespace") == "AWS/RDS"]

    assert watched
    for alarm in watched:
        assert alarm["Dimensions"] == [{"Name": "DBInstanceIdentifier", "Value": ACADEMY.names.database_instance}]


def test_a_paused_lab_raises_no_alarm(synthesis):
    assert {alarm["TreatMissingData"] for alarm in alarms(synthesis)} == {"notBreaching"}


def test_mail_is_sent_to_who_asked_for_it(academy, production):
    subscriptions = [list(s.assembly.resources("AWS::SNS::Subscription")) for s in (academy, production)]

    assert [len(found) for found in subscriptions] == [0, 1]


def test_the_dashboard_tells_the_story(synthesis):
    body = json.dumps(synthesis.assembly.only("AnbObservability", "AWS::CloudWatch::Dashboard").properties)

    for metric in (
        "RequestCount",
        "TargetResponseTime",
        "HTTPCode_Target_5XX_Count",
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateAgeOfOldestMessage",
        "GroupDesiredCapacity",
        "GroupInServiceInstances",
        "CPUCreditBalance",
        "DatabaseConnections",
        "mem_used_percent",
    ):
        assert metric in body


def test_only_production_can_have_a_budget(academy, production):
    budget = production.assembly.only("AnbObservability", "AWS::Budgets::Budget").properties

    assert budget["Budget"]["BudgetLimit"] == {"Amount": 200, "Unit": "USD"}
    assert len(budget["NotificationsWithSubscribers"]) == 3
    assert list(academy.assembly.resources("AWS::Budgets::Budget")) == []
