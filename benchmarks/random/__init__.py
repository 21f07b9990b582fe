"""Statistical tests of random numbers."""
