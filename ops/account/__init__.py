"""What an operator does in an AWS account, from their own machine."""
