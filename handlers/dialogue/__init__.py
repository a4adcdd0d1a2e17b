"""What every handler stands on: the values of a turn, the registry, and how to ask for what is missing."""
