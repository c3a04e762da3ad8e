"""enclave_sim."""
