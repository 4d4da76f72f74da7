"""The script of the page, a file for each thing that it does; `embedded.SCRIPT` sets their order."""
