"""The customer's story: consent, private alignment, federated training, model registry, score query."""
