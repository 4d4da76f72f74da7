"""Gates: whether a step's figures may be trusted, and the grade that follows from them."""
