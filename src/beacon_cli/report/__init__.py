"""Findings as people and programs read them: terminal, page, Markdown, JSON, and the gates of CI. Pure.

Findings in, text out; the same findings give the same bytes. Whatever comes from a model, a job or a file is
hostile until `display.clean`, `exports.tables` or `markup` has made it text. Must not know how a figure is
computed, nor where answers are kept.
"""
