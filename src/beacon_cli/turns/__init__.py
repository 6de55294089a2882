"""Turns in the regions, over a store that other processes share: take a ticket, wait, hold, give back, mend.

Knows the ports alone: which store and which provider stand behind them is `wiring`'s business.
"""
