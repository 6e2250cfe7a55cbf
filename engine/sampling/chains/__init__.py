"""What one chain needs and how it advances: system, moves, boxes of very large cells, tallies, several chains."""
