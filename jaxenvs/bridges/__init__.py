"""Bridges to other libraries, one lazily imported file each."""
