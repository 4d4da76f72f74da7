"""Entry points: the command line, and the frame around the steps of the workflow."""
