"""Where the time went, and what it cost: made from events and from what answers say of themselves. Pure.

All seconds are the provider's: in a rehearsal those of this machine times its speed. Clocks of containers are
never compared with ours; only lengths of time are used.
"""
