"""One coordinator and two devices on this machine, as separate programs, shown at work: `python -P -m tests.demo`."""
