"""The queue of jobs, and where a message goes that nobody can work on."""

import aws_cdk as cdk
from aws_cdk import aws_sqs as sqs
from constructs import Construct

# The worker's lease on a row: a message must not come back while its row is still taken
LEASE = cdk.Duration.seconds(120)
# Above the attempts of a video, so that a row decides before the queue does
MAX_RECEIVES = 6
# SQS's longest: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_POLL = cdk.Duration.seconds(20)
MAX_RETENTION = cdk.Duration.days(14)


class JobQueue(Construct):
    """A standard queue with its dead letters, encrypted, over TLS alone.

    A message keeps its age when it moves to the dead letters, so that those must be kept longer:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    """

    def __init__(self, scope: Construct, id_: str, *, name: str) -> None:
        super().__init__(scope, id_)
        arn = cdk.Stack.of(self).format_arn(service="sqs", resource=name)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            retention_period=MAX_RETENTION,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            redrive_allow_policy=sqs.RedriveAllowPolicy(
                redrive_permission=sqs.RedrivePermission.BY_QUEUE,
                source_queues=[sqs.Queue.from_queue_arn(self, "Source", arn)],
            ),
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=name,
            visibility_timeout=LEASE,
            receive_message_wait_time=MAX_POLL,
            retention_period=cdk.Duration.days(4),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=MAX_RECEIVES),
        )
