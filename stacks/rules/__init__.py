"""What a synthesised system must keep to: the lab's limits, and what the design promises."""
