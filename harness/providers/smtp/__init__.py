"""The SMTP engine: what every SMTP provider does; a preset adds how one of them looks and what it allows."""
