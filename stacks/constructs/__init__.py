"""What the stacks are made of: things that are used twice, or that hide a decision."""
