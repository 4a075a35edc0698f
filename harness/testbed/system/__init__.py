"""The system under test: what runs it, the way in for mail, its life, and its word on each message."""
