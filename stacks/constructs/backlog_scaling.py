"""How many workers there are: more while much waits for each, fewer while the others could do what there is."""

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.constructs.fleet import WARM_UP

# Chosen in docs/scaling.md, where the twin compares; all are jobs for each worker process of an instance, whose job
# takes some 30 s. Eleven are done in 5.5 minutes: an instance started then still helps. Seventeen take 8.5 of the
# 10 minutes that are promised, so that two are started at once
BEHIND_JOBS, FAR_BEHIND_JOBS = 11, 17
# In hand or waiting, for each of those that would be left when one ends
SPARE_JOBS = 1.5
SPARE_MINUTES = 5
# SQS's newest minute may come late. Of three, one that is behind is enough, and the newest decides by how much
LATE_MINUTES = 3
_MINUTE = cdk.Duration.minutes(1)
# A received message is still work: visible and in flight count. SQS reports what is in flight only while there is
# any, and a true branch that is missing is 0. FILL would not do: it makes 0 of a minute that is merely late
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
_JOBS = "(visible + IF(visible >= 0, inflight, 0))"
# Nothing, divided by nothing: whatever is divided by this has no value in a minute whose queue is not known yet. An
# operand that is missing would be 0, and a late minute an idle one
_KNOWN = "IF(visible >= 0, 1, 1)"


class BacklogScaling(Construct):
    """Scale by steps on the jobs for each instance, in both directions.

    An instance counts from its launch, though it works two minutes later: who has asked for it does not ask again.
    A busy worker that is chosen to end is no loss, since its hook waits for it; its protection makes that rare.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        group: autoscaling.AutoScalingGroup,
        queue: sqs.IQueue,
        processes: int,
    ) -> None:
        """`processes` is how many workers an instance has."""
        super().__init__(scope, id_)
        self.visible = queue.metric_approximate_number_of_messages_visible(period=_MINUTE, statistic="Maximum")
        self.in_flight = queue.metric_approximate_number_of_messages_not_visible(period=_MINUTE, statistic="Maximum")
        self.oldest = queue.metric_approximate_age_of_oldest_message(period=_MINUTE, statistic="Maximum")
        self.in_service = cloudwatch.Metric(
            namespace="AWS/AutoScaling",
            metric_name="GroupInServiceInstances",
            dimensions_map={"AutoScalingGroupName": group.auto_scaling_group_name},
            period=_MINUTE,
            statistic="Average",
        )
        self._group, self._processes = group, processes

    def follow(self) -> None:
        """Have the group follow what is measured; without this it is only looked at."""
        self._grow(self._group, self._processes)
        self._shrink(self._group, self._processes)

    def _grow(self, group: autoscaling.AutoScalingGroup, processes: int) -> None:
        apart = (FAR_BEHIND_JOBS - BEHIND_JOBS) * processes
        step = self._step("More", group)
        step.add_adjustment(adjustment=1, lower_bound=0, upper_bound=apart)
        step.add_adjustment(adjustment=2, lower_bound=apart)
        self._jobs_for_each("IF(capacity < 1, 1, capacity)").create_alarm(
            self,
            "Behind",
            alarm_description="Scales: so many jobs wait for each instance that more are asked for.",
            threshold=BEHIND_JOBS * processes,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=LATE_MINUTES,
            datapoints_to_alarm=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        ).add_alarm_action(actions.AutoScalingAction(step))

    def _shrink(self, group: autoscaling.AutoScalingGroup, processes: int) -> None:
        """One a minute: of several that are told to end at once, several could just have taken a job."""
        step = self._step("Fewer", group)
        step.add_adjustment(adjustment=-1, upper_bound=0)
        # No value for a single instance: x / 0 is none
        self._jobs_for_each("(capacity - 1)").create_alarm(
            self,
            "Spare",
            alarm_description="Scales: one instance fewer could do all jobs that there are.",
            threshold=SPARE_JOBS * processes,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=SPARE_MINUTES,
            datapoints_to_alarm=SPARE_MINUTES,
            treat_missing_data=cloudwatch.TreatMissingData.MISSING,
        ).add_alarm_action(actions.AutoScalingAction(step))

    def _step(self, id_: str, group: autoscaling.AutoScalingGroup) -> autoscaling.StepScalingAction:
        return autoscaling.StepScalingAction(
            self,
            id_,
            auto_scaling_group=group,
            adjustment_type=autoscaling.AdjustmentType.CHANGE_IN_CAPACITY,
            estimated_instance_warmup=WARM_UP,
        )

    def _jobs_for_each(self, instances: str) -> cloudwatch.MathExpression:
        return cloudwatch.MathExpression(
            expression=f"{_JOBS} / ({instances} * {_KNOWN})",
            using_metrics={"visible": self.visible, "inflight": self.in_flight, "capacity": self.in_service},
            period=_MINUTE,
            label="jobs for each instance",
        )
