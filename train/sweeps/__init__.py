"""Sweeps: populations that try many settings of an algorithm, and what is known of them afterwards."""
