"""Keys, sealing, signatures and hashes. Pure; randomness is an argument."""
