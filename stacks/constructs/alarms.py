"""Alarms that say what they mean and where the runbook says what to do."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

RUNBOOK = "docs/operations.md"
MINUTE = cdk.Duration.minutes(1)
ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD


class Alarms(Construct):
    """A topic, and the alarms that speak to it."""

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        self.topic = sns.Topic(self, "Topic", display_name="ANB Rising Stars", enforce_ssl=True)
        self.all: list[cloudwatch.Alarm] = []

    def add(
        self,
        heading: str,
        meaning: str,
        metric: cloudwatch.IMetric,
        *,
        threshold: float,
        minutes: int,
        side: cloudwatch.ComparisonOperator = ABOVE,
    ) -> None:
        """Raise an alarm when the metric has been beyond the threshold for so many minutes on end.

        `heading` is the alarm's heading in the runbook. A metric that says nothing raises no alarm: a paused lab
        is not an incident.
        """
        alarm = cloudwatch.Alarm(
            self,
            "".join(word.capitalize() for word in heading.split()),
            alarm_description=f"{meaning} What to do: {RUNBOOK}#{heading.lower().replace(' ', '-')}",
            metric=metric,
            threshold=threshold,
            comparison_operator=side,
            evaluation_periods=minutes,
            datapoints_to_alarm=minutes,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        alarm.add_ok_action(actions.SnsAction(self.topic))
        self.all.append(alarm)
