"""What the service adds between a model and its readers: an upstream, a load generator and what is compared."""
