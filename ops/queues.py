"""The job queue and its dead letters."""

import json
from collections.abc import Mapping

from ops.dependencies import CommandFailed, Dependencies

_COUNTS = {
    "waiting": "ApproximateNumberOfMessages",
    "in work": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}


def counts(dependencies: Dependencies, url: str) -> Mapping[str, int]:
    """Return roughly how many messages a queue has, by what they do there."""
    answer = dependencies.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS.values()))  # type: ignore[arg-type] # literals that the stub lists
    return {state: int(answer["Attributes"][name]) for state, name in _COUNTS.items()}  # type: ignore[index] # the same


def dead_letters_url(dependencies: Dependencies) -> str:
    """Return where the job queue sends what comes back too often; CommandFailed when it does not say."""
    answer = dependencies.sqs.get_queue_attributes(QueueUrl=dependencies.queue_url, AttributeNames=["RedrivePolicy"])
    policy = answer.get("Attributes", {}).get("RedrivePolicy")
    if not policy:
        raise CommandFailed(f"{dependencies.queue_url} has no dead-letter queue")
    # arn:aws:sqs:us-east-1:123456789012:name, in the same account and region as the queue itself
    name = json.loads(policy)["deadLetterTargetArn"].rpartition(":")[2]
    return f"{dependencies.queue_url.rpartition('/')[0]}/{name}"
