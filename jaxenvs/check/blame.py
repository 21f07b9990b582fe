"""The old place of `jaxenvs.explain.blame`, for `jaxenvs.fused`."""

from jaxenvs.explain.blame import author_files  # noqa: F401
