"""What the system takes: measured, derived and simulated, and the check of the two documents that tell it.

A scenario writes raw data; its module makes a summary of them, and tables and figures of the summary. What the
documents say comes from there, see report.py. `criteria.py` and `target.py` need nothing but Python: the load
instance runs them too.
"""
