"""The local testbed: every part a process on this machine, reached over loopback."""
