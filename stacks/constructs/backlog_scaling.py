"""How many workers there are: enough for what waits and what is being worked on, and no fewer while there is any."""

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.constructs.fleet import WARM_UP

# What may wait for an instance: acceptable wait over a job's mean time, 90 s / 30 s, as in
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-using-sqs-queue.html
JOBS_PER_INSTANCE = 3
# Target tracking looks at 3 minutes before it acts, which nobody can change; a burst shows in the age of the oldest
# job within one. One instance more for a job that has waited a minute, two (all there can be in a lab) for two
BOOST_AFTER_SECONDS, HURRY_AFTER_SECONDS = 60, 120
BOOST, HURRY = 1, 2
IDLE_MINUTES = 5
_MINUTE = cdk.Duration.minutes(1)


class BacklogScaling(Construct):
    """Scale out on backlog for each instance and on age, in when there is nothing left to do.

    A received message is still work: visible and in flight count. SQS reports in flight only while there is any,
    hence FILL there; and only there, since FILL on a metric that is merely late would turn its newest value to 0.
    """

    def __init__(self, scope: Construct, id_: str, *, group: autoscaling.AutoScalingGroup, queue: sqs.IQueue) -> None:
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
        self.jobs = cloudwatch.MathExpression(
            expression="visible + FILL(inflight, 0)",
            using_metrics={"visible": self.visible, "inflight": self.in_flight},
            period=_MINUTE,
            label="jobs waiting and in work",
        )
        self._track(group, queue)
        self._boost(group)
        self._rest(group)

    def _track(self, group: autoscaling.AutoScalingGroup, queue: sqs.IQueue) -> None:
        """Keep a few jobs for each instance. L1: the L2 policy refuses metric math (aws-cdk issue 20659)."""
        policy = autoscaling.CfnScalingPolicy
        backlog = policy.TargetTrackingMetricDataQueryProperty(
            id="backlog",
            label="jobs for each instance",
            expression="(visible + FILL(inflight, 0)) / IF(capacity < 1, 1, capacity)",
            return_data=True,
        )
        policy(
            self,
            "Backlog",
            auto_scaling_group_name=group.auto_scaling_group_name,
            policy_type="TargetTrackingScaling",
            estimated_instance_warmup=WARM_UP.to_seconds(),
            target_tracking_configuration=policy.TargetTrackingConfigurationProperty(
                target_value=JOBS_PER_INSTANCE,
                disable_scale_in=True,  # only an idle fleet shrinks
                customized_metric_specification=policy.CustomizedMetricSpecificationProperty(
                    metrics=[
                        _query("visible", self.visible, "QueueName", queue.queue_name),
                        _query("inflight", self.in_flight, "QueueName", queue.queue_name),
                        _query("capacity", self.in_service, "AutoScalingGroupName", group.auto_scaling_group_name),
                        backlog,
                    ]
                ),
            ),
        )

    def _boost(self, group: autoscaling.AutoScalingGroup) -> None:
        step = autoscaling.StepScalingAction(
            self,
            "Boost",
            auto_scaling_group=group,
            adjustment_type=autoscaling.AdjustmentType.CHANGE_IN_CAPACITY,
            estimated_instance_warmup=WARM_UP,
            metric_aggregation_type=autoscaling.MetricAggregationType.MAXIMUM,
        )
        step.add_adjustment(adjustment=BOOST, lower_bound=0, upper_bound=HURRY_AFTER_SECONDS - BOOST_AFTER_SECONDS)
        step.add_adjustment(adjustment=HURRY, lower_bound=HURRY_AFTER_SECONDS - BOOST_AFTER_SECONDS)
        self.oldest.create_alarm(
            self,
            "OldestWaits",
            alarm_description="Scales: the oldest job has waited for a minute, so more workers are asked for.",
            threshold=BOOST_AFTER_SECONDS,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        ).add_alarm_action(actions.AutoScalingAction(step))

    def _rest(self, group: autoscaling.AutoScalingGroup) -> None:
        step = autoscaling.StepScalingAction(
            self,
            "Rest",
            auto_scaling_group=group,
            adjustment_type=autoscaling.AdjustmentType.CHANGE_IN_CAPACITY,
        )
        # One a minute: of several that are told to end at once, several could just have taken a job
        step.add_adjustment(adjustment=-1, upper_bound=0)
        self.jobs.create_alarm(
            self,
            "Idle",
            alarm_description="Scales: no job has waited or been worked on for 5 minutes, so the least workers stay.",
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            evaluation_periods=IDLE_MINUTES,
            datapoints_to_alarm=IDLE_MINUTES,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        ).add_alarm_action(actions.AutoScalingAction(step))


def _query(
    id_: str, metric: cloudwatch.Metric, dimension: str, value: str
) -> autoscaling.CfnScalingPolicy.TargetTrackingMetricDataQueryProperty:
    policy = autoscaling.CfnScalingPolicy
    return policy.TargetTrackingMetricDataQueryProperty(
        id=id_,
        return_data=False,
        metric_stat=policy.TargetTrackingMetricStatProperty(
            metric=policy.MetricProperty(
                namespace=metric.namespace,
                metric_name=metric.metric_name,
                dimensions=[policy.MetricDimensionProperty(name=dimension, value=value)],
            ),
            stat=metric.statistic,
            period=60,
        ),
    )
