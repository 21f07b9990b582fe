"""The rules of the contract, in one file for each of its parts."""
