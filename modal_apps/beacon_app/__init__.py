"""What runs in the user's Modal workspace: one app for each region, which asks open models and says how it went.

Imports nothing of `beacon_cli`, and is not imported by it: they share the names of apps, classes, methods and
keys, which the tests hold against each other.

* `settings`: the one table: regions, models, GPUs, windows, versions; pure
* `answer`: the mapping that a call gives back; pure
* `life`: one container: when it was born, loaded and ready, and which input waited for that
* `engine`: the port of whatever makes text: `Asked` in, `Said` out
* `chat`: from system prompt and question to what a model reads
* `transformers_engine`, `vllm_engine`: the two engines
* `weights`: the Volume with the weights, filled once for each region
* `work`: an ask from arguments to answer, and the `[METRICS]` line
* `serving`: the classes and functions that Modal finds by their names
* `factory`: the app of a region, from the table
"""
