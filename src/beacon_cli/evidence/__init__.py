"""Whether answers differ, and whether the difference is real. Pure: no I/O, no clock; same rows, same bytes.

`findings` and `readings` need nothing beyond msgspec. NumPy, SciPy, rapidfuzz and sacrebleu come with the extra
`beacon-cli[report]` and are imported only by the rooms that count with them. The method is in docs/method.md.
"""
