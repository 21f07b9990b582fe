"""What a run shows a person: a learning curve, and films of the trained agent."""
