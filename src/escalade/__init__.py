"""Escalade: reproducible benchmark campaigns for AI services."""


def __getattr__(name: str) -> str:
    """Give `__version__`; looked up late, since the workflow's steps start often."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 - the reason for all this

    return version("escalade")
