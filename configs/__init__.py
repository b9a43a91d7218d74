"""The experiments, a file each: what is trained, on which data, and how."""
