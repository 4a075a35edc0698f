"""The ways in: one file for each way of handing a message to the system under test."""
