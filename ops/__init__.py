"""Looking after the running system."""
