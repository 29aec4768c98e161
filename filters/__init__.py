"""Sifts traces: filters look at one trace, sieves at the whole set. A drop carries its reason; nothing is deleted."""
