"""What the performance claims are measured with: `heatline bench …`. Load goes to addresses on this machine only."""
