"""Names by which things are found without importing the stack that made them. Nothing else has a physical name."""

# The fleets read the database's credentials here at start; no stack imports the data stack, so that it can be
# destroyed and created again alone
DATABASE_PARAMETER = "/anb/database"
# CloudFormation names a secret after its logical id: production's roles may read what begins like this
DATABASE_SECRET = "AnbDatabaseSecret"  # noqa: S105 a name
# Its metrics are found by this name while it does not exist
DATABASE_INSTANCE = "anb-database"
# A dead-letter queue that names its source, and a source that names its dead-letter queue, need one known name
JOB_QUEUE = "anb-jobs"
# A worker completes its own termination: group and hook appear in its user data, which the group depends on
WORKER_GROUP = "anb-workers"
TERMINATION_HOOK = "finish-job"
# What `cfn-signal` names: the logical id of the group, once in each fleet's stack
GROUP_LOGICAL_ID = "Group"
