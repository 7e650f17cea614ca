"""What a worker's process owes its surroundings: health, signals, an orderly stop."""
