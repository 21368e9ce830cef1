"""How much at once: slots, memory for bodies and pixels, and what a refused caller is told."""
