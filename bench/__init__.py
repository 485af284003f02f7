"""What the system costs and stands: a module for each question, one runner, one report.

A question's module has `measure(*, quick)`, which measures and returns a `Report`. `quick` is a short form that shows
that the measurement works, and is none.
"""
