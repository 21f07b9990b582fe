"""Functions that algorithms share: pure, each with a test of its own."""
