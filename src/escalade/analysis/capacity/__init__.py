"""How much a deployment carries, what runs out first, and what is left."""
