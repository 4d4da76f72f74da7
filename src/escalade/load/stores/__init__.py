"""What is put into stores before the load: collections of vectors, objects."""
