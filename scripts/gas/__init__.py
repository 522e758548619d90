"""Gas of whole transactions on a chain with the Prague rules: `make gas`."""
