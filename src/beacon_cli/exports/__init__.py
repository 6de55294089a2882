"""A collection of answers in the forms that others read: one file for each format. Pure: rows in, bytes out.

Each module has `export(collection)`, which gives the bytes in pieces; the formats do not know each other. No clock
and no order but that of the rows: the same collection gives the same bytes. They know nothing of files, of run
folders and of where the bytes go. What is shown to people stays text, whatever it holds; `jsonl` keeps every
character.
"""
