"""Queues: who may work in a region now. One adapter of `ports.Queue` a file; they do not know each other."""
