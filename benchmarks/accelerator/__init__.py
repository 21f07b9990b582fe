"""What one accelerator makes of environments, rollouts and training: `python -m benchmarks.accelerator`."""
