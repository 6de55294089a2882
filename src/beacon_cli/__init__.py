"""beacon: the same questions to several models in several regions, within a GPU budget."""

__version__ = "0.1.0"
