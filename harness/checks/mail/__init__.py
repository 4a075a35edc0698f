"""What a message proves of its sender, verified against a zone: the measuring behind `authentication`."""
