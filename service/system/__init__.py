"""What the operating system is asked, and told: cores, memory, files, signals, processes."""
