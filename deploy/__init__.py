"""Brings the stacks into an AWS account and out of it again."""
