"""Buy the voluntary cancellation of UN carbon units, pay the provider directly, get an attestation."""
