"""What the hardware itself can do: the figures that upper bounds are made of."""
