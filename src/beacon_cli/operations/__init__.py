"""What the commands do: from the words of a command line to an exit code.

Knows the order of things (prepare, folder, journal, run, results, summary). Which adapters do them is `wiring`'s
business, what a command is called and what its options say is `cli`'s.
"""
