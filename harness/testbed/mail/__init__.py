"""What makes mail provable: keys and policies in the run's zone, signatures on what leaves a provider."""
