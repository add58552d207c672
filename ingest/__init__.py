"""How a document becomes citable."""
