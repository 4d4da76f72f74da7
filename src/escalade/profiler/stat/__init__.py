"""What the files of sessions tell: read back, reckoned, drawn."""
