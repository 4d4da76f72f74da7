"""Upper bounds: how far from what the hardware can do."""
