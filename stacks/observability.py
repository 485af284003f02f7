"""What can be seen of the system while it runs, and who is told when something is wrong."""

from typing import Unpack

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks import connections
from stacks.constructs.alarms import BELOW, MINUTE, Alarms
from stacks.constructs.budget import monthly_budget
from stacks.media import MediaStack
from stacks.names import Names
from stacks.profiles import Profile
from stacks.settings import StackSettings
from stacks.web import WebStack
from stacks.worker import WorkerStack

BUDGET_USD = 200  # a month, unless one says otherwise
GIB = 1024**3


class ObservabilityStack(cdk.Stack):
    """Dashboard, alarms and their topic. The database is found by name, so that it may come and go."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        profile: Profile,
        media: MediaStack,
        web: WebStack,
        worker: WorkerStack,
        **settings: Unpack[StackSettings],
    ) -> None:
        super().__init__(scope, id_, description="ANB Rising Stars: dashboard, alarms and budget", **settings)
        self._media, self._web, self._worker, self._names = media, web, worker, profile.names
        self.alarms = Alarms(self, "Alarms")
        if profile.alarm_mail:
            self.alarms.topic.add_subscription(subscriptions.EmailSubscription(profile.alarm_mail))
        self._watch_requests()
        self._watch_jobs()
        self._watch_instances()
        self._watch_database(profile)
        # Here, since a stack of its own would stay behind when it is asked for no more
        if profile.budget_mail:
            monthly_budget(self, "Budget", mail=profile.budget_mail, usd=profile.budget_usd or BUDGET_USD)
        dashboard = self._dashboard()
        cdk.CfnOutput(
            self, "DashboardName", value=dashboard.dashboard_name, description="The dashboard in CloudWatch"
        )

    def _watch_requests(self) -> None:
        add, answers = self.alarms.add, self._web.balancer.metrics
        errors = cloudwatch.MathExpression(
            expression="100 * (FILL(target, 0) + FILL(balancer, 0)) / requests",
            using_metrics={
                "target": answers.http_code_target(elb.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTE),
                "balancer": answers.http_code_elb(elb.HttpCodeElb.ELB_5XX_COUNT, period=MINUTE),
                "requests": answers.request_count(period=MINUTE),
            },
            period=MINUTE,
            label="server errors, % of requests",
        )
        slow = answers.target_response_time(period=MINUTE, statistic="p95")
        unhealthy = _hosts(self._web, "UnHealthyHostCount", statistic="Maximum")
        healthy = _hosts(self._web, "HealthyHostCount", statistic="Minimum")
        add("Server errors", "More than 1 % of requests fail with a 5xx.", errors, threshold=1, minutes=5)
        add("Slow answers", "One answer in twenty takes more than 3 s.", slow, threshold=3, minutes=5)
        add("Unhealthy web servers", "A web instance does not answer.", unhealthy, threshold=0, minutes=5)
        add("No web server", "No web instance answers.", healthy, threshold=1, minutes=2, side=BELOW)

    def _watch_jobs(self) -> None:
        add, jobs = self.alarms.add, self._media.jobs
        dead = jobs.dead_letters.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum")
        oldest = self._worker.scaling.oldest
        add("Dead letters", "A message could not be worked on six times.", dead, threshold=0, minutes=1)
        add("Old jobs", "A video has waited for more than 15 minutes.", oldest, threshold=15 * 60, minutes=5)

    def _watch_instances(self) -> None:
        add = self.alarms.add
        web, workers = self._web.fleet.group, self._worker.fleet.group
        missing_web, missing_workers = _missing(web), _missing(workers)
        low = _instances(web, "CPUCreditBalance", namespace="AWS/EC2", statistic="Minimum", minutes=5)
        paid = _instances(workers, "CPUSurplusCreditBalance", namespace="AWS/EC2", statistic="Maximum", minutes=5)
        add(
            "Missing web servers", "Web instances are wanted that do not start.", missing_web, threshold=0, minutes=10
        )
        add("Missing workers", "Workers are wanted that do not start.", missing_workers, threshold=0, minutes=10)
        add("Low CPU credits", "A web instance will soon pay for its CPU.", low, threshold=30, minutes=3, side=BELOW)
        # Half of what a t3.small earns in a day (576): https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/
        # burstable-credits-baseline-concepts.html
        add("Surplus CPU credits", "A worker runs on CPU that will be charged.", paid, threshold=288, minutes=3)

    def _watch_database(self, profile: Profile) -> None:
        add = self.alarms.add
        cpu, connected = self._database("CPUUtilization"), self._database("DatabaseConnections", statistic="Maximum")
        room = self._database("FreeStorageSpace", statistic="Minimum")
        add("Busy database", "The database's CPU is above 80 %.", cpu, threshold=80, minutes=10)
        add(
            "Many database connections",
            "The database's connections run out.",
            connected,
            threshold=connections.given(profile.database.instance_class),
            minutes=5,
        )
        add("Full database", "The database has less than 2 GiB left.", room, threshold=2 * GIB, minutes=5, side=BELOW)
        if profile.database.storage_type == "gp2":
            burst = self._database("BurstBalance", statistic="Minimum")
            add(
                "Slow database disk",
                "The disk's burst is nearly used up.",
                burst,
                threshold=30,
                minutes=5,
                side=BELOW,
            )

    def _dashboard(self) -> cloudwatch.Dashboard:
        """Tell the story from left to right: who asks, what waits, who works, what it stands on."""
        balancer, jobs = self._web.balancer.metrics, self._media.jobs
        web, workers, scaling = self._web.fleet.group, self._worker.fleet.group, self._worker.scaling
        latencies = [balancer.target_response_time(period=MINUTE, statistic=p) for p in ("p50", "p95", "p99")]
        codes = elb.HttpCodeTarget
        errors = [
            balancer.http_code_target(code, period=MINUTE)
            for code in (codes.TARGET_4XX_COUNT, codes.TARGET_5XX_COUNT)
        ]
        dead = jobs.dead_letters.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum")
        dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=cdk.Duration.hours(3))
        dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Alarms", alarms=self.alarms.all, width=24, height=3)
        )
        dashboard.add_widgets(
            _graph("Requests", balancer.request_count(period=MINUTE)),
            _graph("Latency, s", *latencies),
            _graph("Errors", *errors, balancer.http_code_elb(elb.HttpCodeElb.ELB_5XX_COUNT, period=MINUTE)),
        )
        dashboard.add_widgets(
            _graph("Jobs waiting and in work", scaling.visible, scaling.in_flight),
            _graph("Age of the oldest job, s", scaling.oldest),
            _graph("Dead letters", dead),
        )
        dashboard.add_widgets(
            _graph("Workers wanted and in service", _wanted(workers), scaling.in_service),
            _graph(
                "Web servers wanted, in service, healthy",
                _wanted(web),
                _serving(web),
                _hosts(self._web, "HealthyHostCount"),
            ),
            _graph("CPU, %", *(_instances(g, "CPUUtilization", namespace="AWS/EC2") for g in (web, workers))),
        )
        dashboard.add_widgets(
            _graph(
                "CPU credits left (web) and owed (workers)",
                _instances(web, "CPUCreditBalance", namespace="AWS/EC2", statistic="Minimum", minutes=5),
                _instances(workers, "CPUSurplusCreditBalance", namespace="AWS/EC2", statistic="Maximum", minutes=5),
            ),
            _graph(
                "Database: CPU %, connections",
                self._database("CPUUtilization"),
                self._database("DatabaseConnections"),
            ),
            _graph("Database: free bytes", self._database("FreeStorageSpace", statistic="Minimum")),
        )
        dashboard.add_widgets(_graph("Memory and disk in use, %", *_agent_metrics(self._names)))
        return dashboard

    def _database(self, name: str, *, statistic: str = "Average") -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/RDS",
            metric_name=name,
            dimensions_map={"DBInstanceIdentifier": self._names.database_instance},
            statistic=statistic,
            period=MINUTE,
        )


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8)


def _hosts(web: WebStack, name: str, *, statistic: str = "Average") -> cloudwatch.Metric:
    """Return what the balancer counts; CDK's own metric imports a listener, which a certificate exchanges."""
    return cloudwatch.Metric(
        namespace="AWS/ApplicationELB",
        metric_name=name,
        dimensions_map={
            "TargetGroup": web.targets.target_group_full_name,
            "LoadBalancer": web.balancer.load_balancer_full_name,
        },
        statistic=statistic,
        period=MINUTE,
    )


def _instances(
    group: autoscaling.AutoScalingGroup,
    name: str,
    *,
    namespace: str = "AWS/AutoScaling",
    statistic: str = "Average",
    minutes: int = 1,
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=namespace,
        metric_name=name,
        dimensions_map={"AutoScalingGroupName": group.auto_scaling_group_name},
        statistic=statistic,
        period=cdk.Duration.minutes(minutes),
    )


def _wanted(group: autoscaling.AutoScalingGroup) -> cloudwatch.Metric:
    return _instances(group, "GroupDesiredCapacity")


def _serving(group: autoscaling.AutoScalingGroup) -> cloudwatch.Metric:
    return _instances(group, "GroupInServiceInstances")


def _missing(group: autoscaling.AutoScalingGroup) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(
        expression="wanted - serving",
        using_metrics={"wanted": _wanted(group), "serving": _serving(group)},
        period=MINUTE,
        label="instances wanted but not in service",
    )


def _agent_metrics(names: Names) -> list[cloudwatch.Metric]:
    """Return what the log agent on the instances measures, the worst of each service."""
    return [
        cloudwatch.Metric(
            namespace=names.metrics_namespace,
            metric_name=name,
            dimensions_map={"Service": service},
            statistic="Maximum",
            period=MINUTE,
        )
        for service in ("web", "worker")
        for name in ("mem_used_percent", "disk_used_percent")
    ]
