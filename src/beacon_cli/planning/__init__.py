"""What a job will take before it is run: its time, its containers, its money. Pure; starts nothing, asks nobody.

* `kernel`: tasks over a time that jumps
* `courses`: one imagined course of a run, as the engine would carry it out, from the times that it is given
* `forecasts`: many courses with drawn times, as low, expected and high
* `purses`: what a run has spent and reserved, against its budget

Knows no emulator and none of its draws: what is drawn here comes from this machine's history.
"""
