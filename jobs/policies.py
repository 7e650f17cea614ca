"""What the tasks of all domains have in common: when and how often they run again, by the kind of their error."""

import workrow
from workrow import retries

RETRY = workrow.Retry(max_attempts=4, wait=workrow.exponential(5), rules=retries.usual)
"""Databases, other services, wrong data, what is not there and timeouts each have a way of their own
(`workrow.retries`); whatever else goes wrong runs again after about 5, 10 and 20 seconds."""

PATIENT = workrow.Retry(max_attempts=15, wait=workrow.exponential(2, cap=1800))
"""For a mail server that is away for an hour or two."""
