"""What every room stands on: quantities, errors, parameters, signing, storage, and who asks when."""
