"""How a provider behaves: one model of it, for the simulated executor and for the emulator. Pure; reads no clock.

Because both sides ask this room, what a prediction says and what a rehearsal does agree. Nothing here is random:
every draw is a hash of a seed and of what is asked, so neither order nor concurrency changes an answer.

* `timing`: how long an answer and a cold start take
* `answers`: what a model says
* `script`: which failures were ordered
* `fleet`: the life of containers, with time passed in
"""
