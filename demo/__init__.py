"""The whole journey of players and their videos, on a system of its own, and what that is driven with."""
