"""What `python -m jaxenvs new` writes: two whole environments, one with a few actions and one with continuous ones."""
