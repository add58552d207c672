"""How good retrieval, abstention and verification are, on public question sets."""
