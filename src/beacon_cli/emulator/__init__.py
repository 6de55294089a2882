"""A Modal of our own on loopback: a control plane that the unmodified Modal SDK talks to.

It plays the region apps with their timings, cold starts, GPU limit and ordered failures, and keeps a ledger of
every call that is its own truth. Nothing heavy is imported until `emulator.server` is.

* `deployment`: which apps, functions and classes are there
* `provider`: carries calls out on a fleet, in real time divided by the speed
* `plane`: the RPCs of Modal's control plane, as far as the SDK needs them
* `wire`: between the emulator's records and Modal's messages
* `ledger`: what happened, one JSON line each, flushed at once
* `server`: `running()` beside a run, `main()` by itself
* `endpoint`: an OpenAI-compatible endpoint, by the same behaviour and scripts
"""
