"""Repairs of a mix or a stem before it is enhanced: one artifact per file.

A repair is a detector that can say "nothing here", the repair itself, and a report: the `Processor` contract
(`analyse` returning None is that answer). The pipeline runs repairs of the mix before separation and repairs
of a stem at the head of its chain.
"""
