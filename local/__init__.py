"""The whole system on one machine: a private database, emulated S3 and SQS, nginx, web and worker."""
