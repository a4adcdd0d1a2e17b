"""Claims about Heatline, each through a real door. CONTRIBUTING.md says how they are run and sorted."""
