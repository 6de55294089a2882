"""Adapters to whoever carries attempts out: an execution goes in, an outcome comes out."""
