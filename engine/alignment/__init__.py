"""Delay, polarity, phase and sums: the proof that nothing moved, and the repair where something did."""
